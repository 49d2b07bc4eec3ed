# The sample policy: a tool must be on the tenant's allowlist, the purpose must be one that the tool
# may be used for, and the day's quota must have room.
#
# Every lookup is indexed by tenant and tool, so the policy takes the same time with a million tools
# as with one. `allow` is a positive conjunction: what is missing or of a wrong type makes it false.
package sentinel.policy

default allow := false

allow if {
	tool_allowed
	purpose_allowed
	within_quota
}

# What the server asks for.
decision := {"allow": true, "quota": quota, "obligations": obligations} if allow

else := {"allow": false, "reasons": reasons, "quota": quota} if quota

else := {"allow": false, "reasons": reasons}

tool_allowed if data.allowlist[input.tenant][input.tool] == true

purpose_allowed if input.purpose in data.allowed_purposes[input.tenant][input.tool]

# `null` is smaller than every number, so the type is part of the question.
within_quota if {
	is_number(input.usage)
	input.usage < quota.limit
}

# The quota of the tool: a number is a limit for each calendar day.
quota := {"limit": stated, "window": "1d"} if {
	stated := data.quotas[input.tenant][input.tool]
	is_number(stated)
} else := {"limit": stated.limit, "window": object.get(stated, "window", "1d")} if {
	stated := data.quotas[input.tenant][input.tool]
}

# From 80 % of the quota on, this call included, each allow raises an alert.
obligations := [{"type": "alert", "code": "quota_nearly_used"}] if {
	(input.usage + 1) * 5 >= quota.limit * 4
} else := []

# Why not. A tool that is not allowed has no further reasons: they would tell of other tenants.
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
	not is_number(input.usage)
}

reasons contains {"code": "quota_exceeded", "msg": "the quota is used up"} if {
	tool_allowed
	is_number(input.usage)
	input.usage >= quota.limit
}

has_purpose if is_string(input.purpose)
