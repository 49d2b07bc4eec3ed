package library.require_approval_test

import data.sentinel.policy

call := {
	"tenant": "finops",
	"tool": "payments",
	"action": "transfer",
	"agent": "ledger-bot",
	"arguments": {"amount": 1200, "to": "supplier"},
	"context": {"approval": "APR-7"},
	"principal": {"id": "key:1", "roles": ["agent"]},
	"time": "2026-11-24T17:59:59Z",
}

change(fields) := object.union(call, fields)

codes(request) := found if {
	found := {reason.code | some reason in policy.decision.reasons} with input as request
}

test_an_approved_call if {
	policy.decision == {
		"allow": true,
		"obligations": [{"type": "alert", "code": "approval_used", "approval": "APR-7"}],
	} with input as call
}

test_a_free_action if {
	policy.decision == {"allow": true, "obligations": []} with input as {"tenant": "finops", "tool": "payments", "action": "list"}
}

test_no_approval if codes(object.remove(call, ["context"])) == {"approval_required"}

test_what_the_caller_states_is_no_approval if {
	stated := {"approval": {"approved_by": "grace", "until": "2099-01-01T00:00:00Z"}}
	codes(object.union(object.remove(call, ["context"]), {"context": stated})) == {"approval_required"}
}

test_other_arguments if codes(change({"arguments": {"amount": 1201}})) == {"approval_of_another_call"}

test_further_arguments if codes(change({"arguments": {"memo": "x"}})) == {"approval_of_another_call"}

test_another_agent if codes(change({"agent": "other-bot"})) == {"approval_of_another_call"}

test_by_oneself if codes(change({"context": {"approval": "APR-8"}})) == {"approval_by_oneself"}

test_by_the_key_that_calls if codes(change({"principal": {"id": "grace"}})) == {"approval_by_oneself"}

test_too_late if codes(change({"time": "2026-11-24T18:00:00Z"})) == {"approval_expired"}

test_odd_times if {
	every time in [null, 0, "", "2026-11-31T00:00:00Z"] {
		codes(change({"time": time})) == {"approval_expired"}
	}
}

test_an_unknown_action if codes(change({"action": "refund"})) == {"action_not_allowed"}

test_nothing if not policy.allow with input as {}
