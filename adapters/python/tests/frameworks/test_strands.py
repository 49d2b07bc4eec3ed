"""The Strands adapter with the real package, a scripted model and a real control plane."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from sentinel_mcp.conformance import Case, PlannedCall, RealPlane, Toolbox, cases, check
from sentinel_mcp.frameworks.strands import SentinelPlugin
from strands import Agent, ToolContext, tool
from strands.hooks import AfterToolCallEvent, BeforeToolCallEvent, HookProvider
from strands.middleware import ExecuteToolStage
from strands.models import Model

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from sentinel_mcp import Settings

QUERY = {"query": "rust"}


class Script(Model):
    """A model that makes calls, and remembers what it read."""

    def __init__(self, *turns: list[tuple[str, str, dict[str, Any]]]) -> None:
        self._turns = list(turns)
        self.read: dict[str, str] = {}

    def update_config(self, **_: Any) -> None: ...

    def get_config(self) -> Any:
        return {}

    def structured_output(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    async def stream(self, messages: Any, *_: Any, **__: Any) -> AsyncIterator[Any]:
        for message in messages:
            for block in message["content"]:
                if "toolResult" in block:
                    result = block["toolResult"]
                    self.read[result["toolUseId"]] = " ".join(
                        each.get("text", str(each)) for each in result["content"]
                    )
        calls = self._turns.pop(0) if self._turns else []
        yield {"messageStart": {"role": "assistant"}}
        for use_id, name, arguments in calls:
            start = {"toolUse": {"toolUseId": use_id, "name": name}}
            yield {"contentBlockStart": {"start": start}}
            yield {"contentBlockDelta": {"delta": {"toolUse": {"input": json.dumps(arguments)}}}}
            yield {"contentBlockStop": {}}
        if not calls:
            yield {"contentBlockStart": {"start": {}}}
            yield {"contentBlockDelta": {"delta": {"text": "done"}}}
            yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": "tool_use" if calls else "end_turn"}}


def agent_of(model: Script, tools: Sequence[Any], *plugins: Any, **more: Any) -> Agent:
    """Return a quiet agent."""
    return Agent(model=model, tools=[*tools], plugins=[*plugins], callback_handler=None, **more)


class Changes(HookProvider):
    """A hook that asks to come after ours, and changes inputs."""

    def __init__(self, change: Callable[[Any], None]) -> None:
        self._change = change

    def register_hooks(self, registry: Any, **_: Any) -> None:
        registry.add_callback(BeforeToolCallEvent, self._change, order=float("inf"))


def changing(calls: Sequence[PlannedCall]) -> Changes:
    """Return a hook that changes planned calls."""
    changes = {call.id: call.changed_to for call in calls if call.changed_to is not None}

    def change(event: Any) -> None:
        event.tool_use["input"].update(changes.get(event.tool_use["toolUseId"]) or {})

    return Changes(change)


class AgentSession:
    """An agent with the plugin."""

    def __init__(self, toolbox: Toolbox, settings: Settings, way: str) -> None:
        self._way = way
        self._plugin = SentinelPlugin(settings)
        pick = toolbox.functions if way == "functions" else toolbox.coroutines
        self._tools = [tool(each) for each in pick.values()]

    async def turn(self, calls: Sequence[PlannedCall]) -> Mapping[str, str]:
        model = Script([(c.id, c.tool, c.arguments) for c in calls])
        agent = agent_of(model, self._tools, self._plugin)
        agent.hooks.add_hook(changing(calls))
        try:
            if self._way == "streamed":
                async for _ in agent.stream_async("go"):
                    pass
            else:
                await agent.invoke_async("go")
        except Exception as error:  # noqa: BLE001 - the kit judges it
            return {call.id: str(error) for call in calls}
        return model.read


class Strands:
    """The framework, used in one way."""

    lacks: Mapping[str, str] = {}

    def __init__(self, way: str) -> None:
        self.name = f"strands {way}"
        self._way = way

    def open(self, toolbox: Toolbox, settings: Settings) -> AgentSession:
        return AgentSession(toolbox, settings, self._way)


def kit(*harnesses: Strands, truthful: bool = False) -> Any:
    """Return the cases of the kit for some ways to use the framework."""
    params = [(h, case) for h in harnesses for case in cases(h.lacks, truthful=truthful)]
    names = [f"{h.name}-{c}".replace(" ", "-") for h, c in params]
    return pytest.mark.parametrize(("harness", "case"), params, ids=names)


@kit(Strands("coroutines"))
def test_conformance(harness: Strands, case: Case, tmp_path: Path) -> None:
    check(case, harness, tmp_path)


@kit(Strands("coroutines"), Strands("functions"), Strands("streamed"), truthful=True)
def test_conformance_with_a_real_control_plane(
    harness: Strands, case: Case, tmp_path: Path, plane: RealPlane
) -> None:
    check(case, harness, tmp_path, plane)


def tools_of(toolbox: Toolbox, *names: str) -> list[Any]:
    return [tool(toolbox.coroutines[name]) for name in names]


async def test_a_real_control_plane_decides_and_signs(
    plane: RealPlane, settings: Settings, toolbox: Toolbox
) -> None:
    model = Script([("c1", "lookup", QUERY), ("c2", "forbidden", QUERY)])
    plugin = SentinelPlugin(settings)
    await agent_of(model, tools_of(toolbox, "lookup", "forbidden"), plugin).invoke_async("go")
    assert model.read["c1"] == "result of lookup: rust"
    assert "Denied by policy: writes need an approval" in model.read["c2"]
    assert [run.tool for run in toolbox.started] == ["lookup"]
    signature = plugin.signature("c1")
    assert signature is not None
    verified = plane.ask("GET", f"/provenance/verify/{await signature}", "auditor")
    assert verified["verified"] is True


async def test_a_later_hook_cannot_undo_a_denial(settings: Settings, toolbox: Toolbox) -> None:
    def undo(event: Any) -> None:
        event.cancel_tool = False

    model = Script([("c1", "forbidden", QUERY)])
    agent = agent_of(model, tools_of(toolbox, "forbidden"), SentinelPlugin(settings))
    agent.hooks.add_hook(Changes(undo))
    await agent.invoke_async("go")
    assert "Denied by policy" in model.read["c1"]
    assert toolbox.started == []


async def test_a_later_hook_cannot_swap_the_tool(settings: Settings, toolbox: Toolbox) -> None:
    forbidden = tools_of(toolbox, "forbidden")[0]

    def swap(event: Any) -> None:
        event.selected_tool = forbidden

    model = Script([("c1", "lookup", QUERY)])
    agent = agent_of(model, tools_of(toolbox, "lookup"), SentinelPlugin(settings))
    agent.hooks.add_hook(Changes(swap))
    await agent.invoke_async("go")
    assert "arguments_changed" in model.read["c1"]
    assert toolbox.started == []


async def test_a_later_middleware_cannot_change_the_input(
    settings: Settings, toolbox: Toolbox
) -> None:
    async def change(context: Any, next_fn: Any) -> Any:
        changed = {**context.tool_use, "input": {"query": "other"}}
        async for event in next_fn(context.replace(tool_use=changed)):
            yield event

    model = Script([("c1", "lookup", QUERY)])
    agent = agent_of(model, tools_of(toolbox, "lookup"), SentinelPlugin(settings))
    agent.add_middleware(ExecuteToolStage, change)
    await agent.invoke_async("go")
    assert "arguments_changed" in model.read["c1"]
    assert toolbox.started == []


async def test_each_attempt_of_a_retry_is_decided(
    plane: RealPlane, settings: Settings, toolbox: Toolbox
) -> None:
    class Retries(HookProvider):
        def register_hooks(self, registry: Any, **_: Any) -> None:
            registry.add_callback(AfterToolCallEvent, self._after)

        def _after(self, event: Any) -> None:
            event.retry = len(toolbox.started) < 3

    model = Script([("c1", "lookup", QUERY)])
    agent = agent_of(model, tools_of(toolbox, "lookup"), SentinelPlugin(settings))
    agent.hooks.add_hook(Retries())
    before = len(set(plane.decisions()))
    await agent.invoke_async("go")
    assert len(toolbox.started) == 3
    assert len(set(plane.decisions())) - before == 3


async def test_an_interrupt_passes_and_the_call_is_counted_once(
    plane: RealPlane, settings: Settings
) -> None:
    ran: list[str] = []

    @tool(context=True)
    def lookup(query: str, tool_context: ToolContext) -> str:
        """Look up, after asking."""
        answer = tool_context.interrupt("sure", reason="?")
        ran.append(query)
        return f"asked: {answer}"

    model = Script([("c1", "lookup", QUERY)])
    agent = agent_of(model, [lookup], SentinelPlugin(settings))
    before = len(set(plane.decisions()))
    first = await agent.invoke_async("go")
    assert (first.stop_reason, ran) == ("interrupt", [])
    responses = [
        {"interruptResponse": {"interruptId": each.id, "response": "yes"}}
        for each in first.interrupts
    ]
    await agent.invoke_async(responses)
    assert (model.read["c1"], ran) == ("asked: yes", ["rust"])
    assert len(set(plane.decisions())) - before == 1


@pytest.mark.parametrize("governed", [True, False])
async def test_agents_in_tools(settings: Settings, toolbox: Toolbox, governed: bool) -> None:
    inner_model = Script([("i1", "forbidden", QUERY), ("i2", "lookup", QUERY)])
    plugin = SentinelPlugin(settings, names={"helper": "lookup"})
    tools = tools_of(toolbox, "forbidden", "lookup")
    inner = agent_of(inner_model, tools, *([plugin] if governed else []), name="helper")
    model = Script([("c1", "helper", {"input": "x"})])
    await agent_of(model, [inner.as_tool()], plugin).invoke_async("go")
    ran = [run.tool for run in toolbox.started]
    if governed:
        assert "Denied by policy" in inner_model.read["i1"]
        assert ran == ["lookup"]
    else:
        assert "ungoverned_sub_agent" in model.read["c1"]
        assert ran == []


def test_a_blocking_agent_and_two_loops(settings: Settings, toolbox: Toolbox) -> None:
    plugin = SentinelPlugin(settings)
    for _ in range(2):
        model = Script([("c1", "lookup", QUERY)])
        agent_of(model, [tool(toolbox.functions["lookup"])], plugin)("go")
        assert model.read["c1"] == "result of lookup: rust"
    model = Script([("c1", "lookup", QUERY)])
    asyncio.run(agent_of(model, tools_of(toolbox, "lookup"), plugin).invoke_async("go"))
    assert model.read["c1"] == "result of lookup: rust"


def test_the_example_of_the_guide(example: Callable[[str], str]) -> None:
    printed = example("strands_agent.py")
    assert "three pages about tracing" in printed
    assert "Denied because the tool is not registered" in printed
    assert "deleted" not in printed
