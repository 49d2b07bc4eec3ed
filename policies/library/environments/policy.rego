# What the server asks for. Several policies of the library are combined here, and only here: allow
# when every one of them allows, with the obligations of all.
package sentinel.policy

import data.library.environments

decision := {"allow": true, "obligations": [o | some o in environments.obligations]} if environments.allow

else := {"allow": false, "reasons": environments.reasons}

default allow := false

allow if decision.allow
