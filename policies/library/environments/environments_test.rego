package library.environments_test

import data.sentinel.policy

call := {
	"action": "read",
	"purpose": "release",
	"agent": "release-bot",
	"tool_record": {"metadata": {"environment": "production"}},
}

change(fields) := object.union(call, fields)

in_environment(name) := change({"tool_record": {"metadata": {"environment": name}}})

codes(request) := found if {
	found := {reason.code | some reason in policy.decision.reasons} with input as request
}

test_reads_in_production if {
	policy.decision == {"allow": true, "obligations": []} with input as call
}

test_writes_in_production_alert if {
	decision := policy.decision with input as change({"action": "write"})
	decision == {"allow": true, "obligations": [{"type": "alert", "code": "production_changed"}]}
}

test_nothing_is_deleted_in_production if codes(change({"action": "delete"})) == {"action_not_allowed"}

test_all_is_free_in_development if {
	policy.allow with input as {
		"action": "delete",
		"tool_record": {"metadata": {"environment": "development"}},
	}
}

test_another_agent if codes(change({"agent": "qa-bot"})) == {"agent_not_allowed"}

test_another_purpose if codes(change({"purpose": "curiosity"})) == {"purpose_not_allowed"}

test_no_purpose if codes(object.remove(call, ["purpose"])) == {"purpose_not_allowed"}

test_the_caller_cannot_choose_the_environment if {
	codes({
		"action": "delete",
		"context": {"environment": "development"},
		"tool_record": {"metadata": {}},
	}) == {"environment_unknown"}
}

test_odd_environments if {
	every name in [null, 1, "", "Production", ["production"], {}] {
		codes(in_environment(name)) == {"environment_unknown"}
	}
}

test_nothing if not policy.allow with input as {}
