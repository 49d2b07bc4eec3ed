package library.arguments_test

import data.sentinel.policy

call(tool, arguments) := {"tenant": "finops", "tool": tool, "arguments": arguments}

codes(request) := found if {
	found := {reason.code | some reason in policy.decision.reasons} with input as request
}

path_refused(path) if codes(call("report-reader", {"path": path})) == {"path_refused"}

test_a_path_below_the_prefix if {
	policy.decision == {"allow": true, "obligations": []} with input as call("report-reader", {"path": "/srv/reports/2026/q3.csv"})
}

test_traversal if {
	every path in [
		"/srv/reports/../secrets",
		"/srv/reports/a/../../x",
		"/srv/reports/..",
		"/srv/reports/%2e%2e/x",
		`/srv/reports/..\x`,
		"/srv/reports//x",
		"/srv/reports/.ssh",
		"/srv/reports",
		"/srv/reports/",
		"/srv/reports-old/x",
		"srv/reports/x",
		"/etc/passwd",
		"/srv/reports/x\n",
		"/srv/reports/\u2025/x",
		"",
		null,
		["/srv/reports/x"],
	] {
		path_refused(path)
	}
}

test_no_path if codes(call("report-reader", {})) == {"path_refused"}

test_a_query if {
	policy.allow with input as call("warehouse", {"query": "SELECT name, total FROM invoices WHERE total > 10"})
}

test_other_verbs if {
	every query in [
		"delete from invoices",
		"SELECT 1; DROP TABLE invoices",
		"select 1 -- x",
		"select /* x */ 1",
		"select * into copy_of from invoices",
		"with x as (delete from invoices returning *) select * from x",
		" select 1",
		"select \"drop\" from t",
		"",
		"selec\u0442 1",
		1,
		null,
	] {
		codes(call("warehouse", {"query": query})) == {"sql_refused"}
	}
}

test_a_payment if {
	policy.allow with input as call("payments", {"amount": 500, "to": "billing@supplier.example"})
}

test_amounts if {
	every amount in [500.01, 0, -1, 1e300, "5", null, [], true] {
		codes(call("payments", {"amount": amount, "to": "billing@supplier.example"})) == {"amount_refused"}
	}
}

test_every_rule_must_hold if {
	codes(call("payments", {"amount": 501, "to": "x@evil.example"})) == {"amount_refused", "recipients_refused"}
}

mail(recipients) := {"tenant": "support", "tool": "mailer", "arguments": {"to": recipients}}

test_recipients if {
	policy.allow with input as mail(["a@example.com", "b@example.org"])
	every recipients in [
		[],
		["a@example.com", "b@evil.example"],
		"a@sub.example.com",
		"a@example.com@evil.example",
		"a@evil.example,b@example.com",
		"@example.com",
		[["a@example.com"]],
		null,
		{"0": "a@example.com"},
	] {
		codes(mail(recipients)) == {"recipients_refused"}
	}
}

test_an_unknown_kind_of_rule_denies if {
	rules := {"finops": {"x": {"regexp": {"argument": "a"}}}}
	not policy.allow with input as call("x", {"a": "b"}) with data.arguments as rules
}

test_a_tool_without_rules if codes(call("rm", {})) == {"no_argument_rules"}

test_nothing if not policy.allow with input as {}
