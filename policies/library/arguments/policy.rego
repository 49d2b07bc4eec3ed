# The rule that the server evaluates. To combine several policies of the library, change only this
# file: allow when every policy allows, with the obligations of all.
package sentinel.policy

import data.library.arguments

decision := {"allow": true, "obligations": [o | some o in arguments.obligations]} if arguments.allow

else := {"allow": false, "reasons": arguments.reasons}

default allow := false

allow if decision.allow
