"""Pydantic AI, with its `FunctionModel`: see plan.py."""

from __future__ import annotations

import asyncio

from plan import FINAL, TASK, Plan, Server, given
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    RetryPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import UsageLimits


def client(server: Server) -> MCPToolset:
    """Return the framework's client of a server."""
    if server.url:
        return MCPToolset(server.url, headers=server.headers)
    from fastmcp.client.transports import StdioTransport  # noqa: PLC0415

    command, *arguments = server.command
    transport = StdioTransport(command, arguments, env=server.environment)
    return MCPToolset(transport)


def results(messages: list[ModelMessage]) -> list[str]:
    """Return what the model reads of the results."""
    read = []
    for part in (part for message in messages for part in message.parts):
        if isinstance(part, ToolReturnPart):
            read.append(part.model_response_str())
        elif isinstance(part, RetryPromptPart):
            read.append(part.model_response())
    return read


async def run(plan: Plan) -> str:
    """Run the agent."""

    def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        call = plan.turn([tool.name for tool in info.function_tools], results(messages))
        if call is None:
            return ModelResponse([TextPart(FINAL)])
        return ModelResponse([ToolCallPart(call.name, call.arguments, call.id)])

    agent = Agent(FunctionModel(model), toolsets=[client(server) for server in plan.servers])
    async with agent:
        answer = await agent.run(TASK, usage_limits=UsageLimits(request_limit=None))
    return str(answer.output)


PLAN = given()
PLAN.report(asyncio.run(run(PLAN)))
