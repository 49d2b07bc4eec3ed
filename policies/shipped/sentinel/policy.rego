# The sample policy: a tool must be on the tenant's allowlist, the purpose must be one that the tool
# may be used for, and the day's quota must have room.
#
# Every lookup is indexed by tenant and tool, so the policy takes the same time with a million tools
# as with one. To allow is a positive conjunction: what is missing or of a wrong type makes it fail.
# It is written out in one body because each further rule costs some 4 µs; the rules below it, which
# say why not, are evaluated only for a deny.
package sentinel.policy

# What the server asks for. `null` is smaller than every number, so the type of the usage is part of
# the question. From 80 % of the quota on, this call included, each allow raises an alert.
decision := {
	"allow": true,
	"quota": quota,
	"obligations": [alert | 5 * (input.usage + 1) >= 4 * quota.limit],
} if {
	data.allowlist[input.tenant][input.tool] == true
	input.purpose in data.allowed_purposes[input.tenant][input.tool]
	is_number(input.usage)
	input.usage < quota.limit
}

else := {"allow": false, "reasons": reasons, "quota": quota} if quota

else := {"allow": false, "reasons": reasons}

alert := {"type": "alert", "code": "quota_nearly_used"}

# For those who ask for the answer alone.
default allow := false

allow if decision.allow

# The quota of the tool: a number is a limit for each calendar day.
quota := {"limit": stated, "window": "1d"} if {
	stated := data.quotas[input.tenant][input.tool]
	is_number(stated)
} else := {"limit": stated.limit, "window": object.get(stated, "window", "1d")} if {
	stated := data.quotas[input.tenant][input.tool]
}

# Why not. A tool that is not allowed needs no further reasons.
reasons contains {"code": "tool_not_allowed", "msg": "the tool is not on the tenant's allowlist"} if {
	not tool_allowed
}

reasons contains {"code": "purpose_missing", "msg": "the tool needs a purpose"} if {
	tool_allowed
	not has_purpose
}

reasons contains {"code": "purpose_not_allowed", "msg": "the tool may not be used for this purpose"} if {
	tool_allowed
	has_purpose
	not purpose_allowed
}

reasons contains {"code": "quota_missing", "msg": "the tool has no quota"} if {
	tool_allowed
	not quota
}

reasons contains {"code": "usage_invalid", "msg": "the usage is not a number"} if {
	tool_allowed
	not has_usage
}

reasons contains {"code": "quota_exceeded", "msg": "the quota is used up"} if {
	tool_allowed
	has_usage
	input.usage >= quota.limit
}

tool_allowed if data.allowlist[input.tenant][input.tool] == true

has_purpose if is_string(input.purpose)

# A rule of its own: OPA reads `not is_number(input.usage)` as undefined when there is no usage.
has_usage if is_number(input.usage)

purpose_allowed if input.purpose in data.allowed_purposes[input.tenant][input.tool]
