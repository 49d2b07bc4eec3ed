package sentinel.policy_test

import data.sentinel.policy

tool(name, annotations) := {
	"tenant": "local",
	"tool": name,
	"action": "call",
	"tool_record": {"metadata": {"mcp": {"kind": "tool", "annotations": annotations}}},
}

door(name, action) := {
	"tenant": "local",
	"tool": name,
	"action": action,
	"tool_record": {"metadata": {"mcp": {"kind": "door"}}},
}

test_reading_is_allowed if {
	policy.decision.allow with input as tool("fs__read", {"readOnlyHint": true})
	policy.decision.allow with input as door("fs__resources", "read")
	policy.decision.allow with input as door("fs__prompts", "get")
}

test_writing_is_denied_and_says_how_to_allow_it if {
	every annotations in [{}, {"readOnlyHint": false}, {"readOnlyHint": "true"}, {"destructiveHint": false}] {
		decision := policy.decision with input as tool("fs__write", annotations)
			with data.place.file as "/home/u/allow/data.yaml"
		decision.allow == false
		some reason in decision.reasons
		contains(reason.msg, "sentinel mcp allow fs__write")
		contains(reason.msg, "/home/u/allow/data.yaml")
	}
}

test_without_a_place_the_denial_names_the_file if {
	decision := policy.decision with input as tool("fs__write", {})
	some reason in decision.reasons
	contains(reason.msg, "allow/data.yaml")
}

test_a_listed_tool_is_allowed if {
	policy.decision.allow with input as tool("fs__write", {}) with data.allow as {"tools": ["fs__write"]}
	not policy.decision.allow with input as tool("fs__delete", {}) with data.allow as {"tools": ["fs__write"]}
}

test_an_empty_list_allows_nothing if {
	not policy.decision.allow with input as tool("fs__write", {}) with data.allow as {"tools": null}
	not policy.decision.allow with input as tool("fs__write", {}) with data.allow as {}
}

test_never_goes_before_all_else if {
	lists := {"tools": ["fs__read"], "never": ["fs__read"]}
	not policy.decision.allow with input as tool("fs__read", {"readOnlyHint": true}) with data.allow as lists
}

test_a_list_that_cannot_be_read_allows_nothing if {
	every never in ["fs__read", {"fs__read": true}, [{"fs__read": "why"}]] {
		not policy.decision.allow with input as tool("fs__read", {"readOnlyHint": true})
			with data.allow as {"tools": ["fs__read"], "never": never}
	}
}

test_what_is_not_of_mcp_is_denied if {
	not policy.decision.allow with input as {"tenant": "local", "tool": "x", "action": "call"}
	not policy.decision.allow with input as door("fs__sampling", "create")
	not policy.decision.allow with input as door("fs__read", "call")
}

test_lists_show_everything if {
	policy.decision.allow with input as object.union(tool("fs__write", {}), {"action": "list"})
}
