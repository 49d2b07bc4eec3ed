# What the server asks for. Several policies of the library are combined here, and only here: allow
# when every one of them allows, with the obligations of all.
package sentinel.policy

import data.library.arguments

decision := {"allow": true, "obligations": [o | some o in arguments.obligations]} if arguments.allow

else := {"allow": false, "reasons": arguments.reasons}

default allow := false

allow if decision.allow
