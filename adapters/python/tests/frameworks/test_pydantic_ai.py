"""The Pydantic AI adapter with the real package, a scripted model and a real control plane."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel
from pydantic_ai import (
    Agent,
    ApprovalRequired,
    DeferredToolRequests,
    DeferredToolResults,
    ModelRetry,
    RunContext,
    Tool,
)
from pydantic_ai.capabilities import AbstractCapability, CapabilityOrdering, NativeTool
from pydantic_ai.messages import (
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from pydantic_ai.native_tools import WebSearchTool
from pydantic_ai.toolsets import FunctionToolset, WrapperToolset
from sentinel_mcp.conformance import Case, PlannedCall, RealPlane, Toolbox, cases, check
from sentinel_mcp.frameworks._gate import UngovernedToolError
from sentinel_mcp.frameworks.pydantic_ai import SentinelCapability

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from sentinel_mcp import Settings

QUERY = {"query": "rust"}


@dataclass
class Script:
    """A model that makes calls, and remembers what it read."""

    turns: list[list[ToolCallPart]]
    read: dict[str, str] = field(default_factory=dict)

    def model(self) -> FunctionModel:
        return FunctionModel(self._answer, stream_function=self._stream)

    def _next(self, messages: Any) -> list[ToolCallPart]:
        for message in messages:
            for part in message.parts:
                if hasattr(part, "tool_call_id") and not isinstance(part, ToolCallPart):
                    content = (
                        part.model_response_str()
                        if isinstance(part, ToolReturnPart)
                        else part.model_response()
                    )
                    self.read[part.tool_call_id] = content
        return self.turns.pop(0) if self.turns else []

    def _answer(self, messages: Any, _: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=self._next(messages) or [TextPart("done")])

    async def _stream(self, messages: Any, _: AgentInfo) -> AsyncIterator[Any]:
        calls = self._next(messages)
        if not calls:
            yield "done"
        for index, call in enumerate(calls):
            delta = DeltaToolCall(
                name=call.tool_name,
                json_args=call.args_as_json_str(),
                tool_call_id=call.tool_call_id,
            )
            yield {index: delta}


def script(*calls: tuple[str, str, dict[str, Any]]) -> Script:
    """Return a script with one turn of calls."""
    return Script([[ToolCallPart(n, a, tool_call_id=i) for i, n, a in calls]])


@dataclass
class Changes(WrapperToolset[Any]):
    """A toolset of the user that changes the arguments of calls, inside everything else."""

    to: dict[str, Any]

    async def call_tool(self, name: str, tool_args: Any, ctx: Any, tool: Any) -> Any:
        changed = self.to.get(ctx.tool_call_id) or tool_args
        return await self.wrapped.call_tool(name, changed, ctx, tool)


class AgentSession:
    """An agent with the capability."""

    def __init__(self, toolbox: Toolbox, settings: Settings, way: str) -> None:
        self._way = way
        self._sentinel = SentinelCapability(settings)
        pick = toolbox.functions if way == "functions" else toolbox.coroutines
        self._tools = [Tool(each) for each in pick.values()]

    async def turn(self, calls: Sequence[PlannedCall]) -> Mapping[str, str]:
        plan = script(*[(c.id, c.tool, c.arguments) for c in calls])
        changes = {c.id: c.changed_to for c in calls if c.changed_to is not None}
        toolset = Changes(FunctionToolset(self._tools), to=changes)
        agent = Agent(plan.model(), toolsets=[toolset], capabilities=[self._sentinel])
        try:
            if self._way == "streamed":
                async with agent.run_stream("go") as result:
                    await result.get_output()
            else:
                await agent.run("go")
        except Exception as error:  # noqa: BLE001 - the kit judges it
            return {call.id: str(error) for call in calls}
        return plan.read


class PydanticAI:
    """The framework, used in one way."""

    lacks: Mapping[str, str] = {}

    def __init__(self, way: str) -> None:
        self.name = f"pydantic-ai {way}"
        self._way = way

    def open(self, toolbox: Toolbox, settings: Settings) -> AgentSession:
        return AgentSession(toolbox, settings, self._way)


def kit(*harnesses: PydanticAI, truthful: bool = False) -> Any:
    """Return the cases of the kit for some ways to use the framework."""
    params = [(h, case) for h in harnesses for case in cases(h.lacks, truthful=truthful)]
    names = [f"{h.name}-{c}".replace(" ", "-") for h, c in params]
    return pytest.mark.parametrize(("harness", "case"), params, ids=names)


@kit(PydanticAI("coroutines"))
def test_conformance(harness: PydanticAI, case: Case, tmp_path: Path) -> None:
    check(case, harness, tmp_path)


@kit(PydanticAI("coroutines"), PydanticAI("functions"), PydanticAI("streamed"), truthful=True)
def test_conformance_with_a_real_control_plane(
    harness: PydanticAI, case: Case, tmp_path: Path, plane: RealPlane
) -> None:
    check(case, harness, tmp_path, plane)


def agent_of(plan: Script, settings: Settings, *tools: Any, **more: Any) -> Agent[Any, Any]:
    """Return a governed agent."""
    capabilities = [SentinelCapability(settings), *more.pop("after", ())]
    return Agent(plan.model(), tools=[*tools], capabilities=capabilities, **more)


async def test_a_real_control_plane_decides_and_signs(
    plane: RealPlane, settings: Settings, toolbox: Toolbox
) -> None:
    plan = script(("c1", "lookup", QUERY), ("c2", "forbidden", QUERY))
    sentinel = SentinelCapability(settings)
    tools = [*toolbox.coroutines.values()]
    await Agent(plan.model(), tools=tools, capabilities=[sentinel]).run("go")
    assert plan.read["c1"] == "result of lookup: rust"
    assert "Denied by policy: writes need an approval" in plan.read["c2"]
    assert [run.tool for run in toolbox.started] == ["lookup"]
    signature = sentinel.signature("c1")
    assert signature is not None
    verified = plane.ask("GET", f"/provenance/verify/{await signature}", "auditor")
    assert verified["verified"] is True


async def test_repeated_denials_do_not_end_the_run(settings: Settings, toolbox: Toolbox) -> None:
    turns = [[ToolCallPart("forbidden", QUERY, tool_call_id=f"c{n}")] for n in range(4)]
    plan = Script(turns)
    result = await agent_of(plan, settings, toolbox.coroutines["forbidden"]).run("go")
    assert result.output == "done"
    assert all("Denied by policy" in plan.read[f"c{n}"] for n in range(4))


class Hook(AbstractCapability[Any]):
    """A capability that is named after ours, and asks for the innermost place as well."""

    def __init__(self, ordering: CapabilityOrdering | None) -> None:
        super().__init__()
        self._ordering = ordering

    def get_ordering(self) -> CapabilityOrdering | None:
        return self._ordering

    async def before_tool_execute(self, ctx: Any, *, call: Any, tool_def: Any, args: Any) -> Any:
        return {"query": "other"}


async def test_a_hook_that_would_come_after_ours_comes_before(
    settings: Settings, toolbox: Toolbox
) -> None:
    plan = script(("c1", "lookup", QUERY))
    await agent_of(plan, settings, toolbox.coroutines["lookup"], after=[Hook(None)]).run("go")
    # It is what was decided.
    assert plan.read["c1"] == "result of lookup: other"


async def test_a_hook_that_does_come_after_ours_stops_the_call(
    settings: Settings, toolbox: Toolbox
) -> None:
    plan = script(("c1", "lookup", QUERY))
    innermost = Hook(CapabilityOrdering(position="innermost"))
    await agent_of(plan, settings, toolbox.coroutines["lookup"], after=[innermost]).run("go")
    assert "arguments_changed" in plan.read["c1"]
    assert toolbox.started == []


async def test_prefixed_and_renamed_tools_keep_the_name_the_model_knows(
    plane: RealPlane, settings: Settings, toolbox: Toolbox
) -> None:
    inner = FunctionToolset([Tool(toolbox.coroutines["lookup"])])
    names = {"my_lookup": "lookup", "find": "lookup"}
    for toolset, name in (
        (inner.prefixed("my"), "my_lookup"),
        (inner.renamed({"find": "lookup"}), "find"),
    ):
        plan = script(("c1", name, QUERY))
        sentinel = SentinelCapability(settings, names=names)
        await Agent(plan.model(), toolsets=[toolset], capabilities=[sentinel]).run("go")
        assert plan.read["c1"] == "result of lookup: rust"


class Place(BaseModel):
    """An argument that is an object."""

    name: str
    floor: int = 1


async def test_arguments_that_are_objects_are_decided_as_json(settings: Settings) -> None:
    seen: list[Place] = []

    async def lookup(place: Place) -> str:
        seen.append(place)
        return place.name

    plan = script(("c1", "lookup", {"place": {"name": "x"}}))
    await agent_of(plan, settings, lookup).run("go")
    assert (plan.read["c1"], seen) == ("x", [Place(name="x", floor=1)])


async def test_an_approval_passes_and_the_call_runs_after_it(
    settings: Settings, toolbox: Toolbox
) -> None:
    ran: list[str] = []

    async def lookup(ctx: RunContext[Any], query: str) -> str:
        if not ctx.tool_call_approved:
            raise ApprovalRequired
        ran.append(query)
        return query

    plan = script(("c1", "lookup", QUERY))
    agent = agent_of(plan, settings, lookup, output_type=[str, DeferredToolRequests])
    first = await agent.run("go")
    assert isinstance(first.output, DeferredToolRequests)
    assert ran == []
    await agent.run(
        message_history=first.all_messages(),
        deferred_tool_results=DeferredToolResults(approvals={"c1": True}),
    )
    assert (plan.read["c1"], ran) == ("rust", ["rust"])


async def test_a_retry_of_the_model_is_a_call_of_its_own(
    plane: RealPlane, settings: Settings
) -> None:
    ran: list[str] = []

    async def lookup(query: str) -> str:
        ran.append(query)
        if len(ran) == 1:
            raise ModelRetry("again")
        return query

    plan = Script([[ToolCallPart("lookup", QUERY, tool_call_id=f"c{n}")] for n in range(2)])
    before = plane.checks()
    await agent_of(plan, settings, lookup).run("go")
    assert (len(ran), plane.checks() - before) == (2, 2)


@pytest.mark.parametrize("allowed", [True, False])
async def test_native_tools_end_the_run_unless_named(settings: Settings, allowed: bool) -> None:
    plan = Script([])
    sentinel = SentinelCapability(settings, native={"web_search"} if allowed else ())
    model = FunctionModel(
        plan._answer, profile={"supported_native_tools": frozenset({WebSearchTool})}
    )
    agent = Agent(model, capabilities=[sentinel, NativeTool(WebSearchTool())])
    if allowed:
        assert (await agent.run("go")).output == "done"
        return
    with pytest.raises(UngovernedToolError, match="web_search"):
        await agent.run("go")


def test_run_sync_uses_a_loop_of_its_own_each_time(settings: Settings, toolbox: Toolbox) -> None:
    sentinel = SentinelCapability(settings)
    for _ in range(2):
        plan = script(("c1", "lookup", QUERY))
        agent = Agent(plan.model(), tools=[toolbox.functions["lookup"]], capabilities=[sentinel])
        asyncio.run(agent.run("go"))
        assert plan.read["c1"] == "result of lookup: rust"


def test_the_example_of_the_guide(example: Callable[[str], str]) -> None:
    printed = example("pydantic_agent.py")
    assert "three pages about tracing" in printed
    assert "Denied because the tool is not registered" in printed
    assert "deleted" not in printed
