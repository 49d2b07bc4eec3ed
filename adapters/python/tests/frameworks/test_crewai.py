"""The CrewAI adapter with the real package, a scripted model and a real control plane."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

os.environ["CREWAI_DISABLE_TELEMETRY"] = "true"
os.environ["OTEL_SDK_DISABLED"] = "true"
os.environ["CREWAI_TRACING_ENABLED"] = "false"

import pytest
from crewai import Agent, Crew, Process, Task
from crewai.hooks import register_before_tool_call_hook
from crewai.llms.base_llm import BaseLLM
from crewai.tools import BaseTool, tool
from sentinel_mcp.conformance import Case, PlannedCall, RealPlane, Toolbox, cases, check
from sentinel_mcp.frameworks.crewai import GovernedTool, govern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from sentinel_mcp import Settings

QUERY = {"query": "rust"}
CHANGES: dict[str, Any] = {}


class Script(BaseLLM):
    """A model that makes calls, and remembers what it read."""

    model: str = "script"
    native: bool = True
    turns: list[list[tuple[str, str, dict[str, Any]]]] = []
    read: dict[str, str] = {}
    asked: list[str] = []

    def supports_function_calling(self) -> bool:
        return self.native

    def call(self, messages: Any, *_: Any, **__: Any) -> Any:
        self._remember(messages)
        turn = self.turns.pop(0) if self.turns else []
        if not turn:
            return "done" if self.native else "Thought: enough\nFinal Answer: done"
        self.asked.extend(i for i, _, _ in turn)
        if not self.native:
            _, name, arguments = turn[0]
            return f"Thought: go\nAction: {name}\nAction Input: {json.dumps(arguments)}\n"
        return [
            {"id": i, "type": "function", "function": {"name": n, "arguments": json.dumps(a)}}
            for i, n, a in turn
        ]

    async def acall(self, messages: Any, *args: Any, **more: Any) -> Any:
        return self.call(messages, *args, **more)

    def _remember(self, messages: Any) -> None:
        for message in messages if isinstance(messages, list) else []:
            if message.get("role") == "tool":
                self.read[message["tool_call_id"]] = str(message["content"])
            elif not self.native and message.get("role") != "system" and self.asked:
                _, found, observed = str(message.get("content")).rpartition("Observation:")
                if found and "Final Answer:" not in observed:
                    self.read[self.asked[-1]] = observed.strip()


def script(*calls: tuple[str, str, dict[str, Any]], native: bool = True) -> Script:
    """Return a model with one turn of calls."""
    return Script(model="script", turns=[list(calls)], read={}, asked=[], native=native)


def agent_of(model: Script, tools: Sequence[Any], **more: Any) -> Agent:
    """Return an agent that keeps no results: a cached one runs no tool."""
    return Agent(
        role=more.pop("role", "worker"),
        goal="work",
        backstory="works",
        llm=model,
        tools=[*tools],
        cache=False,
        verbose=False,
        max_iter=6,
        **more,
    )


def crew_of(agent: Agent, **more: Any) -> Crew:
    """Return a crew of one agent with one task."""
    task = Task(description="go", expected_output="done", agent=agent)
    return Crew(agents=[agent], tasks=[task], cache=False, verbose=False, tracing=False, **more)


def tools_of(functions: Mapping[str, Any], *names: str) -> list[BaseTool]:
    chosen = names or tuple(functions)
    return [tool(name)(functions[name]) for name in chosen]


@pytest.fixture(scope="session", autouse=True)
def _changing() -> Iterator[None]:
    """Register a hook that comes after ours and changes arguments in place, as CrewAI wants it."""

    def change(context: Any) -> None:
        if context.tool_input == CHANGES.get("from"):
            context.tool_input.update(CHANGES["to"])

    register_before_tool_call_hook(change)
    return


class AgentSession:
    """A governed crew."""

    def __init__(self, toolbox: Toolbox, settings: Settings, way: str) -> None:
        self._way = way
        self._settings = settings
        self._tools = tools_of(toolbox.functions if "functions" in way else toolbox.coroutines)

    async def turn(self, calls: Sequence[PlannedCall]) -> Mapping[str, str]:
        CHANGES.clear()
        for call in calls:
            if call.changed_to is not None:
                CHANGES.update({"from": call.arguments, "to": call.changed_to})
        listed = [(c.id, c.tool, c.arguments) for c in calls]
        model = script(*listed, native="text" not in self._way)
        crew = govern(crew_of(agent_of(model, self._tools)), self._settings)
        try:
            if "async" in self._way:
                await crew.akickoff()
            else:
                await asyncio.to_thread(crew.kickoff)
        except Exception as error:  # noqa: BLE001 - the kit judges it
            return {call.id: str(error) for call in calls}
        return model.read


class CrewAi:
    """The framework, used in one way."""

    def __init__(self, way: str, *, real: bool = False) -> None:
        self.name = f"crewai {way}"
        self.lacks: Mapping[str, str] = {}
        if "text" in way:
            self.lacks = {"parallel": "an answer in text has one action"}
        if real:
            # What comes of a change is decided again, which only the kit's control plane can tell.
            self.lacks = {**self.lacks, "changed_arguments": "tested with the kit's control plane"}
        self._way = way

    def open(self, toolbox: Toolbox, settings: Settings) -> AgentSession:
        return AgentSession(toolbox, settings, self._way)


def kit(*harnesses: CrewAi, truthful: bool = False) -> Any:
    """Return the cases of the kit for some ways to use the framework."""
    params = [
        (h, case)
        for h in harnesses
        for case in cases(h.lacks, truthful=truthful)
        # CrewAI runs a failing tool three times where a model answers in text: tested below.
        if (h.name, case.id) != ("crewai functions text", "tool_raises")
    ]
    names = [f"{h.name}-{c}".replace(" ", "-") for h, c in params]
    return pytest.mark.parametrize(("harness", "case"), params, ids=names)


@kit(CrewAi("coroutines"))
def test_conformance(harness: CrewAi, case: Case, tmp_path: Path) -> None:
    check(case, harness, tmp_path)


@kit(
    CrewAi("coroutines", real=True),
    CrewAi("functions", real=True),
    CrewAi("coroutines async", real=True),
    CrewAi("functions text", real=True),
    truthful=True,
)
def test_conformance_with_a_real_control_plane(
    harness: CrewAi, case: Case, tmp_path: Path, plane: RealPlane
) -> None:
    check(case, harness, tmp_path, plane)


def test_a_real_control_plane_decides_and_signs(
    plane: RealPlane, settings: Settings, toolbox: Toolbox
) -> None:
    model = script(("c1", "lookup", QUERY), ("c2", "forbidden", QUERY))
    govern(
        crew := crew_of(agent_of(model, tools_of(toolbox.functions))),
        settings.replace(sign="before_return"),
    )
    crew.kickoff()
    assert model.read["c1"] == "result of lookup: rust"
    assert "Denied by policy: writes need an approval" in model.read["c2"]
    assert [run.tool for run in toolbox.started] == ["lookup"]
    assert [each.tool for each in plane.signed()] == ["lookup"]


def test_each_attempt_of_crewai_is_decided_and_signed(
    plane: RealPlane, settings: Settings, toolbox: Toolbox
) -> None:
    model = script(("c1", "explode", QUERY), native=False)
    crew = crew_of(agent_of(model, tools_of(toolbox.functions, "explode")))
    govern(crew, settings.replace(sign="before_return")).kickoff()
    attempts = len(toolbox.started)
    assert attempts > 1
    assert plane.checks() == attempts
    assert [each.tool for each in plane.signed()] == ["explode"] * attempts


def test_a_denial_is_no_answer_and_is_not_cached(settings: Settings, toolbox: Toolbox) -> None:
    inner = tools_of(toolbox.functions, "forbidden")[0]
    inner.result_as_answer = True
    model = Script(
        model="script",
        turns=[[("c1", "forbidden", QUERY)], [("c2", "forbidden", QUERY)]],
        read={},
        asked=[],
    )
    agent = agent_of(model, [inner])
    agent.cache = True
    task = Task(description="go", expected_output="done", agent=agent)
    crew = govern(Crew(agents=[agent], tasks=[task], cache=True, verbose=False), settings)
    result = crew.kickoff()
    assert result.raw == "done"
    assert all("Denied by policy" in model.read[each] for each in ("c1", "c2"))
    assert toolbox.started == []


def test_tools_of_a_task_are_governed(settings: Settings, toolbox: Toolbox) -> None:
    model = script(("c1", "forbidden", QUERY))
    agent = agent_of(model, [])
    task = Task(
        description="go",
        expected_output="done",
        agent=agent,
        tools=tools_of(toolbox.functions, "forbidden"),
    )
    crew = Crew(agents=[agent], tasks=[task], cache=False, verbose=False)
    govern(crew, settings).kickoff()
    assert "Denied by policy" in model.read["c1"]
    assert toolbox.started == []


def test_tools_that_crewai_adds_are_decided(settings: Settings, toolbox: Toolbox) -> None:
    """Delegation comes as tools that nobody could govern beforehand."""
    name = "delegate_work_to_coworker"
    arguments = {"task": "t", "context": "c", "coworker": "helper"}
    model = script(("c1", name, arguments))
    helper_model = script(("i1", "lookup", QUERY))
    agent = agent_of(model, [], allow_delegation=True)
    helper = agent_of(helper_model, tools_of(toolbox.functions, "lookup"), role="helper")
    task = Task(description="go", expected_output="done", agent=agent)
    crew = Crew(agents=[agent, helper], tasks=[task], cache=False, verbose=False)
    govern(crew, settings).kickoff()
    assert "unknown_tool" in model.read["c1"]
    assert helper_model.read == {}
    model.turns = [[("c2", name, arguments)]]
    govern(Crew(agents=[agent, helper], tasks=[task], cache=False, verbose=False), settings)


def test_delegation_that_is_allowed_reaches_a_governed_agent(
    settings: Settings, toolbox: Toolbox
) -> None:
    name = "delegate_work_to_coworker"
    arguments = {"task": "t", "context": "c", "coworker": "helper"}
    model = script(("c1", name, arguments))
    helper_model = script(("i1", "forbidden", QUERY), ("i2", "lookup", QUERY))
    agent = agent_of(model, [], allow_delegation=True)
    tools = tools_of(toolbox.functions, "lookup", "forbidden")
    helper = agent_of(helper_model, tools, role="helper")
    task = Task(description="go", expected_output="done", agent=agent)
    crew = Crew(agents=[agent, helper], tasks=[task], cache=False, verbose=False)
    govern(crew, settings, names={name: "lookup"}).kickoff()
    assert model.read["c1"] == "done"
    assert "Denied by policy" in helper_model.read["i1"]
    assert [run.tool for run in toolbox.started] == ["lookup"]


def test_the_manager_of_a_hierarchy_is_governed(settings: Settings, toolbox: Toolbox) -> None:
    manager_model = script(
        ("c1", "delegate_work_to_coworker", {"task": "t", "context": "c", "coworker": "worker"})
    )
    worker_model = script(("i1", "forbidden", QUERY))
    worker = agent_of(worker_model, tools_of(toolbox.functions, "forbidden"))
    manager = agent_of(manager_model, [], role="manager", allow_delegation=True)
    task = Task(description="go", expected_output="done")
    crew = Crew(
        agents=[worker],
        tasks=[task],
        manager_agent=manager,
        process=Process.hierarchical,
        cache=False,
        verbose=False,
    )
    govern(crew, settings).kickoff()
    assert "unknown_tool" in manager_model.read["c1"]
    assert toolbox.started == []


def test_an_agent_alone_and_governing_twice(settings: Settings, toolbox: Toolbox) -> None:
    model = script(("c1", "forbidden", QUERY))
    agent = govern(agent_of(model, tools_of(toolbox.functions, "forbidden")), settings)
    govern(agent, settings)
    assert isinstance(agent.tools[0], GovernedTool)
    agent.kickoff("go")
    assert "Denied by policy" in model.read["c1"]
    assert toolbox.started == []
    with pytest.raises(TypeError, match="neither a crew nor an agent"):
        govern(object(), settings)


def test_a_governed_tool_looks_like_its_tool(settings: Settings) -> None:
    class Finds(BaseTool):
        name: str = "lookup"
        description: str = "Find things."
        max_usage_count: int | None = 1

        def _run(self, query: str, limit: int = 3) -> str:
            return f"{query} {limit}"

    inner = Finds()
    agent = govern(agent_of(script(), [inner]), settings)
    governed = agent.tools[0]
    assert governed.args_schema.model_json_schema() == inner.args_schema.model_json_schema()
    assert (governed.name, governed.description) == (inner.name, inner.description)
    assert governed.run(query="x") == "x 3"
    assert "limit" in str(governed.run(query="x"))


def test_the_example_of_the_guide(example: Callable[[str], str]) -> None:
    printed = example("crewai_crew.py")
    assert "three pages about tracing" in printed
    assert "Denied because the tool is not registered" in printed
    assert "deleted" not in printed
