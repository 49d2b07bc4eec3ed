# Requires a person's approval for some actions. The approval is part of the data, which operators
# can change and callers cannot. What a caller states in its context only names the approval. An
# approval is for one agent, one action and exactly these arguments, until a time.
package library.require_approval

default allow := false

allow if need == "free"

allow if {
	need == "approval"
	approved
}

need := data.require_approval.actions[input.tenant][input.tool][input.action]

approval := data.require_approval.approvals[input.tenant][input.tool][input.context.approval]

approved if {
	for_this_call
	by_another
	in_time
}

for_this_call if {
	is_string(input.agent)
	approval.agent == input.agent
	approval.action == input.action
	approval.arguments == input.arguments
}

by_another if {
	is_string(approval.approved_by)
	is_string(input.principal.id)
	approval.approved_by != ""
	approval.approved_by != input.agent
	approval.approved_by != input.principal.id
}

in_time if instant(input.time) < instant(approval.until)

obligations contains {"type": "alert", "code": "approval_used", "approval": input.context.approval} if {
	need == "approval"
	approved
}

reasons contains {"code": "action_not_allowed", "msg": "the action is not one that the tool may do"} if {
	not known
}

known if need in {"free", "approval"}

reasons contains {"code": "approval_required", "msg": "the action needs an approval, named as context.approval"} if {
	need == "approval"
	not approval
}

reasons contains {"code": "approval_of_another_call", "msg": "the approval is for another call"} if {
	need == "approval"
	approval
	not for_this_call
}

reasons contains {"code": "approval_by_oneself", "msg": "the caller cannot approve its own call"} if {
	need == "approval"
	approval
	not by_another
}

reasons contains {"code": "approval_expired", "msg": "the approval has ended"} if {
	need == "approval"
	approval
	not in_time
}

# Nanoseconds since 1970 of a time in UTC; undefined for anything else. The pattern accepts only
# dates that exist: a failing conversion is undefined in OPA, but an error in the embedded engine.
instant(text) := time.parse_rfc3339_ns(text) if {
	is_string(text)
	regex.match(moment, text)
}

moment := concat("", [
	`^(20([02468][048]|[13579][26])-02-29|20[0-9][0-9]-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|`,
	`(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8])))`,
	`T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?Z$`,
])
