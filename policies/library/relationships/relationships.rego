# Ownership and delegation as a graph in the data. A node that reaches a tool along its edges may
# use it. The node is the agent itself, or the user for whom it acts, if the data states that it may
# act for that user. Nodes are written `agent:…`, `user:…`, `team:…` and `tool:TENANT/NAME`.
package library.relationships

default allow := false

allow if {
	not acts_for_another
	own_right
}

allow if {
	may_act_for
	right_of_the_other
}

tool := sprintf("tool:%s/%s", [input.tenant, input.tool]) if {
	is_string(input.tenant)
	is_string(input.tool)
}

agent := concat("", ["agent:", input.agent]) if is_string(input.agent)

other := concat("", ["user:", input.context.on_behalf_of]) if is_string(input.context.on_behalf_of)

# Whatever its value: a claim that cannot be read is not the same as no claim.
acts_for_another if _ = input.context.on_behalf_of

own_right if tool in graph.reachable(data.relationships.owns, {agent})

may_act_for if other in graph.reachable(data.relationships.acts_for, {agent})

right_of_the_other if tool in graph.reachable(data.relationships.owns, {other})

obligations := set()

reasons contains {"code": "agent_missing", "msg": "the call must name its agent"} if not agent

reasons contains {"code": "not_related", "msg": "the agent has no relationship with the tool"} if {
	agent
	not acts_for_another
	not own_right
}

reasons contains {"code": "may_not_act_for", "msg": "the agent may not act for this user"} if {
	agent
	acts_for_another
	not may_act_for
}

reasons contains {"code": "user_not_related", "msg": "the user has no relationship with the tool"} if {
	agent
	may_act_for
	not right_of_the_other
}
