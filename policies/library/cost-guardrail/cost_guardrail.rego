# Limits the cost of calls by a budget. The budget divided by the price is the number of calls that
# fit into a window, which the server counts exactly. From 80 % on, including this call, each allow
# raises an alert.
package library.cost_guardrail

default allow := false

# `null` is smaller than every number, so the type of the usage is checked as well.
allow if {
	is_number(input.usage)
	input.usage < quota.limit
}

budget := data.cost_guardrail.budgets[input.tenant][input.tool]

quota := {"limit": floor(budget.amount / budget.price), "window": budget.window} if {
	is_number(budget.amount)
	is_number(budget.price)
	budget.amount >= 0
	budget.price > 0
	is_string(budget.window)
}

obligations contains {"type": "alert", "code": "budget_nearly_used"} if {
	allow
	5 * (input.usage + 1) >= 4 * quota.limit
}

reasons contains {"code": "budget_missing", "msg": "the tool has no budget"} if not quota

reasons contains {"code": "usage_invalid", "msg": "the usage is not a number"} if not has_usage

reasons contains {"code": "budget_used_up", "msg": "the next call would exceed the budget"} if {
	has_usage
	input.usage >= quota.limit
}

has_usage if is_number(input.usage)
