# What the test with real clients relies on: a call is denied by its arguments, and some tools are
# neither shown nor may they be called. What is allowed is counted.
package sentinel.policy

import rego.v1

hidden := {"everything__get-sum", "filesystem__write_file", "time__convert_time", "git__git_commit"}

mentions_secrets if {
	some value in input.arguments
	contains(value, "secret")
}

decision := {"allow": false, "reasons": [{"code": "hidden", "msg": "this tool is not for agents"}]} if {
	input.tool in hidden
} else := {"allow": false, "reasons": [{"code": "secret", "msg": "arguments must not mention secrets"}]} if {
	mentions_secrets
} else := {"allow": true, "quota": {"limit": 100000, "window": "month"}}
