package library.break_glass_test

import data.sentinel.policy

call := {
	"tenant": "secops",
	"tool": "prod-shell",
	"agent": "oncall-bot",
	"context": {"ticket": "INC-2041"},
	"time": "2026-11-24T09:30:00.5Z",
}

change(fields) := object.union(call, fields)

codes(request) := found if {
	found := {reason.code | some reason in policy.decision.reasons} with input as request
}

test_the_grant_opens_the_tool_and_alerts if {
	policy.decision == {
		"allow": true,
		"obligations": [{"type": "alert", "code": "break_glass", "ticket": "INC-2041"}],
	} with input as call
}

test_the_usual_tool_raises_no_alert if {
	policy.decision == {"allow": true, "obligations": []} with input as change({"tool": "runbook-search"})
}

test_before_and_after if {
	policy.allow with input as change({"time": "2026-11-24T08:00:00Z"})
	codes(change({"time": "2026-11-24T07:59:59.999Z"})) == {"grant_not_in_time"}
	codes(change({"time": "2026-11-24T12:00:00Z"})) == {"grant_not_in_time"}
}

test_a_grant_of_a_month_is_none if {
	codes(change({"tool": "prod-db", "context": {"ticket": "INC-1999"}})) == {"grant_unbounded"}
}

test_another_ticket if codes(change({"context": {"ticket": "INC-1"}})) == {"ticket_missing"}

test_no_ticket if codes(object.remove(call, ["context"])) == {"ticket_missing"}

test_a_grant_without_a_ticket_opens_nothing if {
	grants := {"secops": {"prod-shell": {
		"ticket": "",
		"from": "2026-11-24T08:00:00Z",
		"until": "2026-11-24T12:00:00Z",
		"agents": {"oncall-bot": true},
	}}}
	not policy.allow with input as change({"context": {"ticket": ""}}) with data.break_glass.grants as grants
}

test_another_agent if codes(change({"agent": "triage"})) == {"agent_not_granted"}

test_no_agent if codes(object.remove(call, ["agent"])) == {"agent_not_granted"}

test_odd_times if {
	every time in [null, 0, "", "2026-02-30T09:30:00Z", "2026-11-24T09:30:00+05:00", "2026-11-24"] {
		codes(change({"time": time})) == {"grant_not_in_time"}
	}
}

test_an_unknown_tool if codes(change({"tool": "rm"})) == {"tool_not_allowed"}

test_nothing if not policy.allow with input as {}
