# What the server asks for. Several policies of the library are combined here, and only here: allow
# when every one of them allows, with the obligations of all.
package sentinel.policy

import data.library.break_glass

decision := {"allow": true, "obligations": [o | some o in break_glass.obligations]} if break_glass.allow

else := {"allow": false, "reasons": break_glass.reasons}

default allow := false

allow if decision.allow
