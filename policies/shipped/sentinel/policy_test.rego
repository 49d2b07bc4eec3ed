package sentinel.policy_test

import data.sentinel.policy

call := {
	"tenant": "platform-eng",
	"tool": "langsmith-docs-search",
	"action": "call",
	"purpose": "documentation_lookup",
	"usage": 42,
}

# The tests bring their data, so that they hold whatever data the policy is given.
sample := {
	"allowlist": {
		"platform-eng": {"langsmith-docs-search": true},
		"secops": {"incident-response-runbook": true},
		"demo": {"mcp-server-time": true},
	},
	"quotas": {
		"platform-eng": {"langsmith-docs-search": 1000},
		"secops": {"incident-response-runbook": {"limit": 200, "window": "1h"}},
		"demo": {"mcp-server-time": 5},
	},
	"allowed_purposes": {
		"platform-eng": {"langsmith-docs-search": ["documentation_lookup", "incident_response"]},
		"secops": {"incident-response-runbook": ["incident_response", "postmortem"]},
		"demo": {"mcp-server-time": ["scheduling"]},
	},
}

other(name, data_of_it) := object.union(object.remove(sample, [name]), {name: data_of_it})

change(fields) := object.union(call, fields)

codes(request) := codes_under(request, sample)

codes_under(request, given) := found if {
	found := {reason.code | some reason in policy.decision.reasons} with input as request
		with data.allowlist as given.allowlist
		with data.quotas as given.quotas
		with data.allowed_purposes as given.allowed_purposes
}

test_allows_with_the_quota_of_the_day if {
	policy.decision == {
		"allow": true,
		"quota": {"limit": 1000, "window": "1d"},
		"obligations": [],
	} with input as call
		with data.allowlist as sample.allowlist
		with data.quotas as sample.quotas
		with data.allowed_purposes as sample.allowed_purposes
}

test_states_the_window_of_the_data if {
	decision := policy.decision with input as {
		"tenant": "secops",
		"tool": "incident-response-runbook",
		"purpose": "postmortem",
		"usage": 0,
	}
		with data.allowlist as sample.allowlist
		with data.quotas as sample.quotas
		with data.allowed_purposes as sample.allowed_purposes
	decision.allow == true
	decision.quota == {"limit": 200, "window": "1h"}
}

test_the_last_call_fits if {
	policy.allow with input as change({"usage": 999})
		with data.allowlist as sample.allowlist
		with data.quotas as sample.quotas
		with data.allowed_purposes as sample.allowed_purposes
	not policy.allow with input as change({"usage": 1000})
		with data.allowlist as sample.allowlist
		with data.quotas as sample.quotas
		with data.allowed_purposes as sample.allowed_purposes
}

test_quota_exceeded if codes(change({"usage": 1000})) == {"quota_exceeded"}

test_alert_from_80_percent if {
	policy.decision.obligations == [] with input as change({"usage": 798})
		with data.allowlist as sample.allowlist
		with data.quotas as sample.quotas
		with data.allowed_purposes as sample.allowed_purposes
	alerted := policy.decision.obligations with input as change({"usage": 799})
		with data.allowlist as sample.allowlist
		with data.quotas as sample.quotas
		with data.allowed_purposes as sample.allowed_purposes
	alerted == [{"type": "alert", "code": "quota_nearly_used"}]
}

test_another_tenants_tool if {
	codes(change({"tenant": "finops"})) == {"tool_not_allowed"}
}

test_unknown_tool if codes(change({"tool": "rm"})) == {"tool_not_allowed"}

test_another_purpose if codes(change({"purpose": "curiosity"})) == {"purpose_not_allowed"}

test_no_purpose if codes(object.remove(call, ["purpose"])) == {"purpose_missing"}

test_every_reason_is_given if {
	codes(change({"purpose": "curiosity", "usage": 5000})) == {"purpose_not_allowed", "quota_exceeded"}
}

test_usage_of_a_wrong_type if {
	every usage in [null, "0", true, [], {}] {
		codes(change({"usage": usage})) == {"usage_invalid"}
	}
}

test_no_usage if codes(object.remove(call, ["usage"])) == {"usage_invalid"}

test_nothing_is_allowed_by_nothing if {
	decision := policy.decision with input as {}
		with data.allowlist as sample.allowlist
		with data.quotas as sample.quotas
		with data.allowed_purposes as sample.allowed_purposes
	decision.allow == false
	not decision.quota
}

test_a_tool_without_quota if {
	codes_under(call, other("quotas", {})) == {"quota_missing"}
}

test_an_allowlist_that_says_no if {
	listed := {"platform-eng": {"langsmith-docs-search": false}}
	codes_under(call, other("allowlist", listed)) == {"tool_not_allowed"}
}

test_the_demo_tool_has_five_calls_a_day if {
	request := {"tenant": "demo", "tool": "mcp-server-time", "purpose": "scheduling"}
	decision := policy.decision with input as object.union(request, {"usage": 4})
		with data.allowlist as sample.allowlist
		with data.quotas as sample.quotas
		with data.allowed_purposes as sample.allowed_purposes
	decision.allow
	decision.quota == {"limit": 5, "window": "1d"}
}
