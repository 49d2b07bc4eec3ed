package library.time_windows_test

import data.sentinel.policy

at(time) := {"tenant": "finops", "tool": "ledger-writer", "time": time}

codes(request) := found if {
	found := {reason.code | some reason in policy.decision.reasons} with input as request
}

test_in_the_window if {
	policy.decision == {"allow": true, "obligations": []} with input as at("2026-11-24T10:00:00Z")
}

test_its_edges_in_winter if {
	policy.allow with input as at("2026-11-24T08:00:00Z")
	codes(at("2026-11-24T07:59:59.999Z")) == {"hour_not_allowed"}
	codes(at("2026-11-24T16:00:00Z")) == {"hour_not_allowed"}
}

test_its_edges_in_summer if {
	policy.allow with input as at("2026-07-01T07:00:00Z")
	codes(at("2026-07-01T15:00:00Z")) == {"hour_not_allowed"}
}

test_weekend if codes(at("2026-11-22T10:00:00Z")) == {"day_not_allowed"}

test_the_day_is_that_of_the_zone if {
	codes(at("2026-11-22T23:30:00Z")) == {"hour_not_allowed"}
	codes(at("2026-11-20T23:30:00Z")) == {"day_not_allowed", "hour_not_allowed"}
}

test_a_leap_day if {
	policy.allow with input as at("2028-02-29T10:00:00Z")
	codes(at("2027-02-29T10:00:00Z")) == {"time_invalid"}
}

test_odd_times if {
	every time in [null, 0, "", "noon", "2026-02-30T10:00:00Z", "2026-11-24T10:00:00+01:00", {}] {
		codes(at(time)) == {"time_invalid"}
	}
}

test_another_tool if codes({"tenant": "finops", "tool": "x", "time": "2026-11-24T10:00:00Z"}) == {"no_time_window"}

test_nothing if not policy.allow with input as {}
