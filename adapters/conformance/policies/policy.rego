# The policy of the conformance kit: what a tool is called says how it is decided.
package sentinel.policy

default decision := {"allow": false, "reasons": [{"code": "not_listed", "msg": "writes need an approval"}]}

decision := {"allow": true} if input.tool in {"lookup", "wait", "explode"}

decision := {"allow": true, "quota": {"limit": 1, "window": "1d"}} if input.tool == "metered"
