# Allows everything: the conformance suite tests the protocol, not the policy.
package sentinel.policy

import rego.v1

decision := {"allow": true}
