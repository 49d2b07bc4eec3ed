"""smolagents' `ToolCallingAgent`: see plan.py."""

from __future__ import annotations

from typing import Any

from mcp import StdioServerParameters
from plan import FINAL, TASK, Plan, Server, given
from smolagents import ChatMessage, LogLevel, MCPClient, Model, ToolCallingAgent
from smolagents.models import (
    ChatMessageToolCall,
    ChatMessageToolCallFunction,
    MessageRole,
)

# The agent ends by calling this tool of the framework.
LAST = "final_answer"


class Scripted(Model):
    """The scripted model."""

    def __init__(self, plan: Plan) -> None:
        """Follow the plan."""
        super().__init__(model_id="scripted")
        self.plan = plan

    def generate(
        self, messages: Any, *_: Any, tools_to_call_from: Any = None, **__: Any
    ) -> ChatMessage:
        """Take one turn."""
        offered = [tool.name for tool in tools_to_call_from or [] if tool.name != LAST]
        shown = [message for message in messages if message.role == MessageRole.TOOL_RESPONSE]
        call = self.plan.turn(offered, [text(message.content) for message in shown])
        name, arguments = (call.name, call.arguments) if call else (LAST, {"answer": FINAL})
        function = ChatMessageToolCallFunction(name=name, arguments=arguments)
        wanted = ChatMessageToolCall(
            id=call.id if call else LAST, type="function", function=function
        )
        return ChatMessage(role=MessageRole.ASSISTANT, content="", tool_calls=[wanted])


def text(content: Any) -> str:
    """Return what the model reads of a message."""
    if isinstance(content, str):
        return content
    return "".join(block.get("text", "") for block in content)


def connection(server: Server) -> Any:
    """Return how the framework's client reaches a server."""
    if server.url:
        return {"transport": "streamable-http", "url": server.url, "headers": server.headers}
    command, *arguments = server.command
    return StdioServerParameters(command=command, args=arguments, env=server.environment)


def main() -> None:
    """Run the agent."""
    plan = given()
    connections = [connection(server) for server in plan.servers]
    with MCPClient(connections, structured_output=False) as tools:
        agent = ToolCallingAgent(tools, Scripted(plan), verbosity_level=LogLevel.OFF)
        plan.report(agent.run(TASK, max_steps=len(plan.calls) + 1))


main()
