package sentinel.policy

import rego.v1

default decision := {"allow": false, "reasons": [{"code": "only_reading", "msg": "only reading is allowed"}]}

decision := {"allow": true, "quota": {"limit": 5, "window": "24h"}} if input.action == "read"
