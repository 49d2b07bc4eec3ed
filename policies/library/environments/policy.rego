# The rule that the server evaluates. To combine several policies of the library, change only this
# file: allow when every policy allows, with the obligations of all.
package sentinel.policy

import data.library.environments

decision := {"allow": true, "obligations": [o | some o in environments.obligations]} if environments.allow

else := {"allow": false, "reasons": environments.reasons}

default allow := false

allow if decision.allow
