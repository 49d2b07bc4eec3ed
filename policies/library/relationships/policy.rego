# What the server asks for. Several policies of the library are combined here, and only here: allow
# when every one of them allows, with the obligations of all.
package sentinel.policy

import data.library.relationships

decision := {"allow": true, "obligations": [o | some o in relationships.obligations]} if relationships.allow

else := {"allow": false, "reasons": relationships.reasons}

default allow := false

allow if decision.allow
