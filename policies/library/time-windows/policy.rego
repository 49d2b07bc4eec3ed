# The rule that the server evaluates. To combine several policies of the library, change only this
# file: allow when every policy allows, with the obligations of all.
package sentinel.policy

import data.library.time_windows

decision := {"allow": true, "obligations": [o | some o in time_windows.obligations]} if time_windows.allow

else := {"allow": false, "reasons": time_windows.reasons}

default allow := false

allow if decision.allow
