"""A Google ADK agent under Sentinel, with a scripted model: it runs without any model provider.

sentinel dev &
export SENTINEL_URL=http://127.0.0.1:8000 SENTINEL_TENANT=platform-eng SENTINEL_API_KEY=…
pip install 'sentinel-mcp[google-adk]' && python examples/python/adk_agent.py
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from google.adk.agents import LlmAgent
from google.adk.models import BaseLlm, LlmResponse
from google.adk.runners import InMemoryRunner
from google.genai import types
from sentinel_mcp.frameworks.google_adk import SentinelPlugin


def call(call_id: str, tool: str, arguments: dict[str, str]) -> types.Part:
    """Return a call of a tool."""
    function_call = types.FunctionCall(id=call_id, name=tool, args=arguments)
    return types.Part(function_call=function_call)


class ScriptedModel(BaseLlm):
    """Stands for a model."""

    model: str = "scripted"
    turns: list[list[types.Part]] = [
        [
            call("call_1", "search_docs", {"query": "tracing"}),
            call("call_2", "delete_index", {"name": "docs"}),
        ],
        [types.Part(text="That is all.")],
    ]

    async def generate_content_async(
        self, llm_request: Any, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        """Answer as the script says."""
        yield LlmResponse(content=types.Content(role="model", parts=self.turns.pop(0)))


def search_docs(query: str) -> str:
    """Search the documentation."""
    return f"three pages about {query}"


def delete_index(name: str) -> str:
    """Delete a search index."""
    return f"deleted {name}"


async def main() -> None:
    """Run the agent once."""
    agent = LlmAgent(name="docs", model=ScriptedModel(), tools=[search_docs, delete_index])

    # These lines govern all agents of the runner.
    sentinel = SentinelPlugin(
        names={"search_docs": "langsmith-docs-search"}, purpose="documentation_lookup"
    )
    runner = InMemoryRunner(agent, app_name="docs", plugins=[sentinel])

    session = await runner.session_service.create_session(app_name="docs", user_id="user")
    message = types.Content(role="user", parts=[types.Part(text="Look up tracing.")])
    async for event in runner.run_async(user_id="user", session_id=session.id, new_message=message):
        for response in event.get_function_responses():
            print(f"{response.name}: {response.response}")
    print("signed:", await sentinel.signature("call_1"))


asyncio.run(main())
