"""Google's Agent Development Kit: see plan.py."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from google.adk.agents import LlmAgent
from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_response import LlmResponse
from google.adk.runners import InMemoryRunner
from google.adk.tools.mcp_tool import (
    McpToolset,
    StdioConnectionParams,
    StreamableHTTPConnectionParams,
)
from google.genai import types
from mcp import StdioServerParameters
from plan import AGENT, FINAL, TASK, Plan, Server, given

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

PATIENCE = 60.0


class Scripted(BaseLlm):
    """The scripted model."""

    plan: Any

    async def generate_content_async(
        self,
        llm_request: Any,
        stream: bool = False,  # noqa: ARG002, FBT001, FBT002 - its signature
    ) -> AsyncGenerator[LlmResponse, None]:
        """Take one turn."""
        parts = [part for content in llm_request.contents for part in content.parts or []]
        answers = [part.function_response for part in parts if part.function_response]
        read = [json.dumps(answer.response, ensure_ascii=False) for answer in answers]
        call = self.plan.turn(llm_request.tools_dict, read)
        part = types.Part(text=FINAL)
        if call:
            wanted = types.FunctionCall(id=call.id, name=call.name, args=call.arguments)
            part = types.Part(function_call=wanted)
        yield LlmResponse(content=types.Content(role="model", parts=[part]))


def client(server: Server) -> McpToolset:
    """Return the framework's client of a server."""
    params: Any
    if server.url:
        params = StreamableHTTPConnectionParams(
            url=server.url, headers=server.headers, timeout=PATIENCE
        )
    else:
        command, *arguments = server.command
        started = StdioServerParameters(command=command, args=arguments, env=server.environment)
        params = StdioConnectionParams(server_params=started, timeout=PATIENCE)
    return McpToolset(connection_params=params)


async def run(plan: Plan) -> str:
    """Run the agent."""
    tools: list[Any] = [client(server) for server in plan.servers]
    agent = LlmAgent(name=AGENT, model=Scripted(model="scripted", plan=plan), tools=tools)
    runner = InMemoryRunner(agent, app_name=AGENT)
    session = await runner.session_service.create_session(app_name=AGENT, user_id=AGENT)
    message = types.Content(role="user", parts=[types.Part(text=TASK)])
    final = ""
    try:
        async for event in runner.run_async(
            user_id=AGENT, session_id=session.id, new_message=message
        ):
            if event.is_final_response() and event.content and event.content.parts:
                final = event.content.parts[0].text or ""
    finally:
        await runner.close()
    return final


PLAN = given()
PLAN.report(asyncio.run(run(PLAN)))
