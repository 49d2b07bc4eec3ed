# The rule that the server evaluates. To combine several policies of the library, change only this
# file: allow when every policy allows, with the obligations of all.
package sentinel.policy

import data.library.cost_guardrail

decision := {"allow": true, "obligations": [o | some o in cost_guardrail.obligations], "quota": cost_guardrail.quota} if cost_guardrail.allow

else := {"allow": false, "reasons": cost_guardrail.reasons}

default allow := false

allow if decision.allow
