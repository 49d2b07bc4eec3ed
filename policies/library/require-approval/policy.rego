# What the server asks for. Several policies of the library are combined here, and only here: allow
# when every one of them allows, with the obligations of all.
package sentinel.policy

import data.library.require_approval

decision := {"allow": true, "obligations": [o | some o in require_approval.obligations]} if require_approval.allow

else := {"allow": false, "reasons": require_approval.reasons}

default allow := false

allow if decision.allow
