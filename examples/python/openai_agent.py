"""An agent of the OpenAI Agents SDK under Sentinel, with the SDK's scripted model.

sentinel dev &
export SENTINEL_URL=http://127.0.0.1:8000 SENTINEL_TENANT=platform-eng SENTINEL_API_KEY=…
pip install 'sentinel-mcp[openai-agents]' && python examples/python/openai_agent.py
"""

import asyncio

from agents import Agent, Runner, function_tool, set_tracing_disabled
from agents.testing import ScriptedModel, assistant_message, function_call
from sentinel_mcp.frameworks.openai_agents import SentinelHooks, govern


@function_tool
def search_docs(query: str) -> str:
    """Search the documentation."""
    return f"three pages about {query}"


@function_tool
def delete_index(name: str) -> str:
    """Delete a search index."""
    return f"deleted {name}"


async def main() -> None:
    """Run the agent once."""
    set_tracing_disabled(disabled=True)
    calls = [
        function_call("search_docs", {"query": "tracing"}, call_id="call_1"),
        function_call("delete_index", {"name": "docs"}, call_id="call_2"),
    ]
    model = ScriptedModel([calls, [assistant_message("That is all.")]])
    agent = Agent("docs", tools=[search_docs, delete_index], model=model)

    # These lines govern the agent, and all that it hands off to or has as tools.
    agent = govern(
        agent, names={"search_docs": "langsmith-docs-search"}, purpose="documentation_lookup"
    )
    result = await Runner.run(agent, "Look up tracing, then delete it.", hooks=SentinelHooks())

    for item in result.new_items:
        if item.type == "tool_call_output_item":
            print(item.output)
    print(result.final_output)


asyncio.run(main())
