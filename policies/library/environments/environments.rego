# Allows actions by the environment that a tool acts in. The environment is the one that the tool
# was registered with (`metadata.environment`), never one that the caller states.
package library.environments

default allow := false

allow if {
	action_allowed
	purpose_allowed
	agent_allowed
}

environment := input.tool_record.metadata.environment

rule := data.environments[environment]

action_allowed if rule.actions[input.action] == true

purpose_allowed if {
	is_string(input.purpose)
	rule.purposes[input.purpose] == true
}

purpose_allowed if rule.any_purpose == true

agent_allowed if {
	is_string(input.agent)
	rule.agents[input.agent] == true
}

agent_allowed if rule.any_agent == true

obligations contains {"type": "alert", "code": "production_changed"} if {
	allow
	rule.alert_on[input.action] == true
}

reasons contains {"code": "environment_unknown", "msg": "the tool is registered with no known environment"} if {
	not rule
}

reasons contains {"code": "action_not_allowed", "msg": "the action is not allowed in this environment"} if {
	rule
	not action_allowed
}

reasons contains {"code": "purpose_not_allowed", "msg": "the environment needs another purpose"} if {
	rule
	not purpose_allowed
}

reasons contains {"code": "agent_not_allowed", "msg": "the agent may not act in this environment"} if {
	rule
	not agent_allowed
}
