"""The OpenAI Agents SDK: see plan.py."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

from agents import Agent, Model, ModelResponse, Runner, Usage, set_tracing_disabled
from agents.mcp import MCPServerStdio, MCPServerStreamableHttp
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)
from plan import AGENT, FINAL, TASK, Plan, Server, given

PATIENCE = 60.0


class Scripted(Model):
    """The scripted model."""

    def __init__(self, plan: Plan) -> None:
        """Follow the plan."""
        self.plan = plan

    async def get_response(
        self,
        system_instructions: str | None,  # noqa: ARG002
        input: str | list[dict[str, Any]],  # noqa: A002
        model_settings: object,  # noqa: ARG002
        tools: list[Any],
        *_: object,
        **__: object,
    ) -> ModelResponse:
        """Take one turn."""
        items = [] if isinstance(input, str) else input
        read = [
            text(item["output"]) for item in items if item.get("type") == "function_call_output"
        ]
        call = self.plan.turn([tool.name for tool in tools], read)
        output: Any
        if call:
            output = ResponseFunctionToolCall(
                type="function_call",
                call_id=call.id,
                name=call.name,
                arguments=json.dumps(call.arguments),
            )
        else:
            words = ResponseOutputText(type="output_text", text=FINAL, annotations=[])
            output = ResponseOutputMessage(
                id="final", type="message", role="assistant", status="completed", content=[words]
            )
        return ModelResponse(output=[output], usage=Usage(), response_id=None)

    def stream_response(self, *_: object, **__: object) -> Any:
        """Refuse: the run is not streamed."""
        raise NotImplementedError


def text(output: object) -> str:
    """Return what the model reads of a result."""
    return output if isinstance(output, str) else json.dumps(output)


def client(server: Server) -> Any:
    """Return the framework's client of a server."""
    if server.url:
        params: Any = {"url": server.url, "headers": server.headers}
        return MCPServerStreamableHttp(params, client_session_timeout_seconds=PATIENCE)
    params = {"command": server.command[0], "args": server.command[1:], "env": server.environment}
    return MCPServerStdio(params, client_session_timeout_seconds=PATIENCE)


async def main() -> None:
    """Run the agent."""
    plan = given()
    set_tracing_disabled(disabled=True)
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(client(server)) for server in plan.servers]
        agent = Agent(name=AGENT, model=Scripted(plan), mcp_servers=servers)
        result = await Runner.run(agent, TASK, max_turns=len(plan.calls) + 1)
    plan.report(result.final_output)


asyncio.run(main())
