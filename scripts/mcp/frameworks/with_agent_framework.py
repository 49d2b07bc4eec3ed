"""Microsoft's Agent Framework: see plan.py.

With `include_detailed_errors`: without it, the model reads only that the function failed.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from agent_framework import (
    Agent,
    BaseChatClient,
    ChatResponse,
    Content,
    FunctionInvocationLayer,
    MCPStdioTool,
    MCPStreamableHTTPTool,
    Message,
)
from plan import AGENT, FINAL, TASK, Plan, Server, given


class Scripted(FunctionInvocationLayer, BaseChatClient):
    """The scripted model."""

    def __init__(self, plan: Plan) -> None:
        """Follow the plan."""
        settings: Any = {
            "include_detailed_errors": True,
            "max_iterations": len(plan.calls) + 1,
        }
        super().__init__(function_invocation_configuration=settings)
        self.plan = plan

    async def _inner_get_response(self, *, messages: Any, options: Any, **_: Any) -> ChatResponse:
        contents = [content for message in messages for content in message.contents]
        shown = [content for content in contents if content.type == "function_result"]
        offered = [tool.name for tool in options.get("tools") or []]
        call = self.plan.turn(offered, [str(content.result) for content in shown])
        said: Any = FINAL
        if call:
            said = Content.from_function_call(call.id, call.name, arguments=call.arguments)
        return ChatResponse(messages=[Message(role="assistant", contents=[said])])


def client(server: Server) -> Any:
    """Return the framework's client of a server."""
    if server.url:
        return MCPStreamableHTTPTool(server.name, server.url, static_headers=server.headers)
    command, *arguments = server.command
    return MCPStdioTool(server.name, command, args=arguments, env=server.environment)


async def run(plan: Plan) -> str:
    """Run the agent."""
    async with AsyncExitStack() as stack:
        tools = [await stack.enter_async_context(client(server)) for server in plan.servers]
        agent = Agent(client=Scripted(plan), name=AGENT, tools=tools)
        answer = await agent.run(TASK)
    return str(answer.text)


PLAN = given()
PLAN.report(asyncio.run(run(PLAN)))
