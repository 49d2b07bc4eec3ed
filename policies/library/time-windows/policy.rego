# What the server asks for. Several policies of the library are combined here, and only here: allow
# when every one of them allows, with the obligations of all.
package sentinel.policy

import data.library.time_windows

decision := {"allow": true, "obligations": [o | some o in time_windows.obligations]} if time_windows.allow

else := {"allow": false, "reasons": time_windows.reasons}

default allow := false

allow if decision.allow
