package library.relationships_test

import data.sentinel.policy

call := {"tenant": "acme", "tool": "tickets", "agent": "triage", "context": {}}

for_ada := {"tenant": "acme", "tool": "reports", "agent": "assistant", "context": {"on_behalf_of": "ada"}}

codes(request) := found if {
	found := {reason.code | some reason in policy.decision.reasons} with input as request
}

test_by_the_team if {
	policy.decision == {"allow": true, "obligations": []} with input as call
}

test_another_teams_tool if codes(object.union(call, {"tool": "ledger"})) == {"not_related"}

test_another_tenants_tool if codes(object.union(call, {"tenant": "other"})) == {"not_related"}

test_for_a_user_over_a_circle_of_teams if policy.allow with input as for_ada

test_only_for_users_it_may_act_for if {
	codes(object.union(for_ada, {"context": {"on_behalf_of": "bob"}})) == {"may_not_act_for"}
}

test_only_what_the_user_may if {
	codes(object.union(for_ada, {"tool": "tickets"})) == {"user_not_related"}
}

test_the_assistant_itself_may_nothing if codes(object.remove(for_ada, ["context"])) == {"not_related"}

test_own_rights_do_not_help_when_acting_for_another if {
	every user in ["ada", "unknown", null, 1, ["ada"]] {
		codes(object.union(call, {"context": {"on_behalf_of": user}})) == {"may_not_act_for"}
	}
}

test_a_claim_of_false_is_a_claim if {
	codes(object.union(call, {"context": {"on_behalf_of": false}})) == {"may_not_act_for"}
}

test_names_do_not_run_into_each_other if {
	codes(object.union(call, {"agent": "triage\"]"})) == {"not_related"}
	codes(object.union(call, {"tenant": "acme/tickets", "tool": ""})) == {"not_related"}
}

test_no_agent if codes(object.remove(call, ["agent"])) == {"agent_missing"}

test_nothing if not policy.allow with input as {}
