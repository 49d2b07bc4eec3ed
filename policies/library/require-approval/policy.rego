# The rule that the server evaluates. To combine several policies of the library, change only this
# file: allow when every policy allows, with the obligations of all.
package sentinel.policy

import data.library.require_approval

decision := {"allow": true, "obligations": [o | some o in require_approval.obligations]} if require_approval.allow

else := {"allow": false, "reasons": require_approval.reasons}

default allow := false

allow if decision.allow
