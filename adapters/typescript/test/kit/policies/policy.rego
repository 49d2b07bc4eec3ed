package sentinel.policy

default decision := {"allow": false, "reasons": [{"code": "not_allowed", "msg": "no rule allows this"}]}

decision := {"allow": false, "reasons": [{"code": "writes", "msg": "writes need an approval"}]} if denied

decision := {"allow": true, "quota": {"limit": 2, "window": "1d"}} if {
	not denied
	startswith(input.tool, "quota-")
}

decision := {"allow": true, "obligations": [{"type": "alert", "code": "watched"}]} if {
	not denied
	startswith(input.tool, "alert-")
}

decision := {"allow": true} if {
	not denied
	not startswith(input.tool, "quota-")
	not startswith(input.tool, "alert-")
}

denied if startswith(input.tool, "denied-")

denied if input.arguments.forbidden == true
