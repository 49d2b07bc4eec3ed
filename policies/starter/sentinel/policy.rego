# The starter policy of `sentinel mcp wrap --embedded`: a tool that says it only reads may be called;
# one that may change something is denied until a person puts it on the list in `allow/data.yaml`.
#
# Whether a tool only reads is what its server says (`readOnlyHint`). The definition is pinned when
# the tool is first seen: a tool that changes it later is held back until a person approves it.
package sentinel.policy

decision := {"allow": true} if {
	sound
	not refused
	permitted
}

else := {"allow": false, "reasons": reasons}

# For those who ask for the answer alone.
default allow := false

allow if decision.allow

# What a person has refused stays refused, also when it only reads.
refused if input.tool in never

never := object.get(data.allow, "never", null)

# A list that cannot be read refuses everything: it may name what must not be called.
sound if never == null

sound if {
	is_array(never)
	every tool in never {
		is_string(tool)
	}
}

# Lists show every tool, so that a denial can say how to allow it.
permitted if input.action == "list"

permitted if input.tool in data.allow.tools

permitted if {
	input.action == "call"
	mcp.kind == "tool"
	mcp.annotations.readOnlyHint == true
}

# Resources and prompts are read, and arguments completed.
permitted if {
	mcp.kind == "door"
	input.action in {"read", "subscribe", "get", "complete"}
}

mcp := input.tool_record.metadata.mcp

# Where the list is; written by `sentinel` when it starts.
default file := "allow/data.yaml"

file := data.place.file

reasons contains {"code": "list_malformed", "msg": msg} if {
	not sound
	msg := sprintf("`never` in %s is not a list of tools; nothing is allowed until it is", [file])
}

reasons contains {"code": "refused", "msg": msg} if {
	refused
	msg := sprintf("`%s` is on the list `never` in %s", [input.tool, file])
}

reasons contains {"code": "not_on_list", "msg": msg} if {
	sound
	not refused
	msg := sprintf("`%s` may change something and is not on the list of allowed tools; a person can allow it with the command `sentinel mcp allow %s`, or with the line `  - %s` under `tools:` in %s", [
		input.tool,
		input.tool,
		input.tool,
		file,
	])
}
