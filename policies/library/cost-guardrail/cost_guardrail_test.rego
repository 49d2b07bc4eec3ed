package library.cost_guardrail_test

import data.sentinel.policy

call := {"tenant": "support", "tool": "web-search", "usage": 3}

change(fields) := object.union(call, fields)

codes(request) := found if {
	found := {reason.code | some reason in policy.decision.reasons} with input as request
}

test_the_budget_over_the_price_is_the_quota if {
	policy.decision == {"allow": true, "obligations": [], "quota": {"limit": 33, "window": "1h"}} with input as call
}

test_the_last_call_that_fits if {
	policy.allow with input as change({"usage": 32})
	codes(change({"usage": 33})) == {"budget_used_up"}
}

test_alert_from_80_percent if {
	policy.decision.obligations == [] with input as change({"usage": 25})
	alerted := policy.decision.obligations with input as change({"usage": 26})
	alerted == [{"type": "alert", "code": "budget_nearly_used"}]
}

test_no_budget if codes(change({"tool": "rm"})) == {"budget_missing"}

test_a_price_of_nothing_is_no_budget if {
	free := {"support": {"web-search": {"amount": 10, "price": 0, "window": "1d"}}}
	not policy.allow with input as call with data.cost_guardrail.budgets as free
}

test_usage_of_a_wrong_type if {
	every usage in [null, "3", [], {}, true] {
		codes(change({"usage": usage})) == {"usage_invalid"}
	}
}

test_no_usage if codes(object.remove(call, ["usage"])) == {"usage_invalid"}

test_nothing if not policy.allow with input as {}
