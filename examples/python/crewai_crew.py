"""A CrewAI crew under Sentinel, with a scripted model: it runs without any model provider.

sentinel dev &
export SENTINEL_URL=http://127.0.0.1:8000 SENTINEL_TENANT=platform-eng SENTINEL_API_KEY=…
pip install 'sentinel-mcp[crewai]' && python examples/python/crewai_crew.py
"""

import json
import os
from typing import Any

os.environ.setdefault("CREWAI_DISABLE_TELEMETRY", "true")
os.environ.setdefault("CREWAI_TRACING_ENABLED", "false")

from crewai import Agent, Crew, Task
from crewai.llms.base_llm import BaseLLM
from crewai.tools import tool
from sentinel_mcp.frameworks.crewai import govern


class ScriptedModel(BaseLLM):
    """Stands for a model that can call tools."""

    turns: list[tuple[str, dict[str, str]]] = [
        ("search_docs", {"query": "tracing"}),
        ("delete_index", {"name": "docs"}),
    ]

    def supports_function_calling(self) -> bool:
        """Call tools."""
        return True

    def call(self, messages: Any, *_: Any, **__: Any) -> Any:
        """Answer as the script says, and show what was read."""
        results = [message["content"] for message in messages if message.get("role") == "tool"]
        if results:
            print(results[-1])
        if not self.turns:
            return "That is all."
        name, arguments = self.turns.pop(0)
        function = {"name": name, "arguments": json.dumps(arguments)}
        return [{"id": f"call_{name}", "type": "function", "function": function}]


@tool("search_docs")
def search_docs(query: str) -> str:
    """Search the documentation."""
    return f"three pages about {query}"


@tool("delete_index")
def delete_index(name: str) -> str:
    """Delete a search index."""
    return f"deleted {name}"


worker = Agent(
    role="librarian",
    goal="find pages",
    backstory="You know the documentation.",
    llm=ScriptedModel(model="scripted"),
    tools=[search_docs, delete_index],
)
task = Task(description="Look up tracing.", expected_output="pages", agent=worker)
crew = Crew(agents=[worker], tasks=[task])

# This line governs the crew.
govern(crew, names={"search_docs": "langsmith-docs-search"}, purpose="documentation_lookup")

print(crew.kickoff().raw)
