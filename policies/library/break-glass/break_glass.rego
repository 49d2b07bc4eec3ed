# Opens a tool to named agents in an emergency, for a limited time, under a ticket. The grant is
# part of the data, which operators can change and callers cannot. The call must name the ticket of
# the grant.
package library.break_glass

default allow := false

allow if granted

allow if usual

usual if data.break_glass.allowlist[input.tenant][input.tool] == true

grant := data.break_glass.grants[input.tenant][input.tool]

granted if {
	bounded
	in_time
	ticket_named
	for_agent
}

# A grant without an end, or with an end too far away, opens nothing.
bounded if {
	is_number(data.break_glass.max_hours)
	duration := instant(grant.until) - instant(grant.from)
	duration > 0
	duration <= ((data.break_glass.max_hours * 60) * 60) * 1000000000
}

in_time if {
	now := instant(input.time)
	now >= instant(grant.from)
	now < instant(grant.until)
}

ticket_named if {
	is_string(grant.ticket)
	grant.ticket != ""
	input.context.ticket == grant.ticket
}

for_agent if {
	is_string(input.agent)
	grant.agents[input.agent] == true
}

# Raises an alert for each call that only the grant allows.
obligations contains {"type": "alert", "code": "break_glass", "ticket": grant.ticket} if {
	granted
	not usual
}

reasons contains {"code": "tool_not_allowed", "msg": "the tool is neither on the allowlist nor granted"} if {
	not usual
	not grant
}

reasons contains {"code": "grant_not_in_time", "msg": "the grant is not, or no longer, in force"} if {
	grant
	not in_time
}

reasons contains {"code": "grant_unbounded", "msg": "the grant has no end, or lasts too long"} if {
	grant
	not bounded
}

reasons contains {"code": "ticket_missing", "msg": "the call must name the grant's ticket as context.ticket"} if {
	grant
	not ticket_named
}

reasons contains {"code": "agent_not_granted", "msg": "the grant is for other agents"} if {
	grant
	not for_agent
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
