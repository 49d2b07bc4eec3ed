"""The adapter for agent-framework with the real package, a scripted model and a control plane."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from agent_framework import (
    Agent,
    BaseChatClient,
    ChatResponse,
    ChatResponseUpdate,
    Content,
    FunctionInvocationLayer,
    FunctionMiddleware,
    Message,
    ResponseStream,
    tool,
)
from sentinel_mcp.conformance import Case, PlannedCall, RealPlane, Toolbox, cases, check
from sentinel_mcp.frameworks.agent_framework import SentinelMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from sentinel_mcp import Settings

QUERY = {"query": "rust"}


class Script(FunctionInvocationLayer[Any], BaseChatClient[Any]):
    """A client of a model that makes calls, and remembers what it read."""

    def __init__(self, *turns: list[tuple[str, str, dict[str, Any]]]) -> None:
        super().__init__()
        self.turns = list(turns)
        self.read: dict[str, str] = {}

    def _inner_get_response(self, *, messages: Any, stream: bool, options: Any, **_: Any) -> Any:
        if stream:

            async def updates() -> Any:
                yield ChatResponseUpdate(role="assistant", contents=self._next(messages))

            return ResponseStream(updates(), finalizer=ChatResponse.from_updates)

        async def answer() -> ChatResponse:
            contents = self._next(messages)
            return ChatResponse(messages=[Message(role="assistant", contents=contents)])

        return answer()

    def _next(self, messages: Any) -> list[Content]:
        for message in messages:
            for content in message.contents:
                if content.type == "function_result":
                    self.read[content.call_id] = str(content.result)
        calls = self.turns.pop(0) if self.turns else []
        return [Content.from_function_call(i, n, arguments=dict(a)) for i, n, a in calls] or [
            Content.from_text("done")
        ]


class Changes(FunctionMiddleware):
    """Comes after ours and changes arguments."""

    def __init__(self, change: Callable[[Any], None]) -> None:
        self._change = change

    async def process(self, context: Any, call_next: Any) -> None:
        self._change(context)
        await call_next()


def changing(calls: Sequence[PlannedCall], *, in_place: bool = False) -> Changes:
    """Return middleware that changes planned calls."""
    changes = {call.id: call.changed_to for call in calls if call.changed_to is not None}

    def change(context: Any) -> None:
        changed = changes.get(context.metadata["call_id"])
        if changed is not None and in_place:
            context.arguments.update(changed)
        elif changed is not None:
            context.arguments = changed

    return Changes(change)


def tools_of(functions: Mapping[str, Any], *names: str) -> list[Any]:
    chosen = [functions[name] for name in names] if names else [*functions.values()]
    return [tool(each, approval_mode="never_require") for each in chosen]


class AgentSession:
    """An agent with the middleware."""

    def __init__(self, toolbox: Toolbox, settings: Settings, way: str) -> None:
        self._way = way
        self._sentinel = SentinelMiddleware(settings)
        pick = toolbox.functions if way == "functions" else toolbox.coroutines
        self._tools = tools_of(pick)

    async def turn(self, calls: Sequence[PlannedCall]) -> Mapping[str, str]:
        client = Script([(c.id, c.tool, c.arguments) for c in calls])
        agent = Agent(client, tools=self._tools, middleware=[self._sentinel, changing(calls)])
        try:
            if self._way == "streamed":
                async for _ in agent.run("go", stream=True):
                    pass
            else:
                await agent.run("go")
        except Exception as error:  # noqa: BLE001 - the kit judges it
            return {call.id: str(error) for call in calls}
        return client.read


class AgentFramework:
    """The framework, used in one way."""

    lacks: Mapping[str, str] = {}

    def __init__(self, way: str) -> None:
        self.name = f"agent-framework {way}"
        self._way = way

    def open(self, toolbox: Toolbox, settings: Settings) -> AgentSession:
        return AgentSession(toolbox, settings, self._way)


def kit(*harnesses: AgentFramework, truthful: bool = False) -> Any:
    """Return the cases of the kit for some ways to use the framework."""
    params = [(h, case) for h in harnesses for case in cases(h.lacks, truthful=truthful)]
    names = [f"{h.name}-{c}".replace(" ", "-") for h, c in params]
    return pytest.mark.parametrize(("harness", "case"), params, ids=names)


@kit(AgentFramework("coroutines"))
def test_conformance(harness: AgentFramework, case: Case, tmp_path: Path) -> None:
    check(case, harness, tmp_path)


@kit(
    AgentFramework("coroutines"),
    AgentFramework("functions"),
    AgentFramework("streamed"),
    truthful=True,
)
def test_conformance_with_a_real_control_plane(
    harness: AgentFramework, case: Case, tmp_path: Path, plane: RealPlane
) -> None:
    check(case, harness, tmp_path, plane)


async def test_a_real_control_plane_decides_and_signs(
    plane: RealPlane, settings: Settings, toolbox: Toolbox
) -> None:
    client = Script([("c1", "lookup", QUERY), ("c2", "forbidden", QUERY)])
    sentinel = SentinelMiddleware(settings)
    await Agent(client, tools=tools_of(toolbox.coroutines), middleware=[sentinel]).run("go")
    assert client.read["c1"] == "result of lookup: rust"
    assert "Denied by policy: writes need an approval" in client.read["c2"]
    assert [run.tool for run in toolbox.started] == ["lookup"]
    signature = sentinel.signature("c1")
    assert signature is not None
    verified = plane.ask("GET", f"/provenance/verify/{await signature}", "auditor")
    assert verified["verified"] is True


async def test_denials_in_a_row_do_not_switch_tools_off(
    settings: Settings, toolbox: Toolbox
) -> None:
    turns = [[(f"c{n}", "forbidden", QUERY)] for n in range(4)]
    client = Script(*turns, [("c9", "lookup", QUERY)])
    tools = tools_of(toolbox.coroutines, "forbidden", "lookup")
    await Agent(client, tools=tools, middleware=[SentinelMiddleware(settings)]).run("go")
    assert all("Denied by policy" in client.read[f"c{n}"] for n in range(4))
    assert client.read["c9"] == "result of lookup: rust"


@pytest.mark.parametrize("in_place", [True, False])
async def test_later_middleware_cannot_change_arguments(
    settings: Settings, toolbox: Toolbox, in_place: bool
) -> None:
    client = Script([("c1", "lookup", QUERY)])
    later = changing(
        [PlannedCall("c1", "lookup", QUERY, changed_to={"query": "x"})], in_place=in_place
    )
    agent = Agent(
        client,
        tools=tools_of(toolbox.coroutines, "lookup"),
        middleware=[SentinelMiddleware(settings), later],
    )
    await agent.run("go")
    assert "arguments_changed" in client.read["c1"]
    assert toolbox.started == []


async def test_earlier_middleware_makes_what_is_decided(
    settings: Settings, toolbox: Toolbox
) -> None:
    client = Script([("c1", "lookup", QUERY)])
    earlier = changing([PlannedCall("c1", "lookup", QUERY, changed_to={"query": "x"})])
    agent = Agent(
        client,
        tools=tools_of(toolbox.coroutines, "lookup"),
        middleware=[earlier, SentinelMiddleware(settings)],
    )
    await agent.run("go")
    assert client.read["c1"] == "result of lookup: x"


@pytest.mark.parametrize("governed", [True, False])
async def test_agents_in_tools(settings: Settings, toolbox: Toolbox, governed: bool) -> None:
    inner_client = Script([("i1", "forbidden", QUERY), ("i2", "lookup", QUERY)])
    sentinel = SentinelMiddleware(settings, names={"helper": "lookup"})
    inner = Agent(
        inner_client,
        name="helper",
        description="helps",
        tools=tools_of(toolbox.coroutines, "forbidden", "lookup"),
        middleware=[sentinel] if governed else [],
    )
    client = Script([("c1", "helper", {"task": "x"})])
    await Agent(client, tools=[inner.as_tool()], middleware=[sentinel]).run("go")
    ran = [run.tool for run in toolbox.started]
    if governed:
        assert "Denied by policy" in inner_client.read["i1"]
        assert ran == ["lookup"]
    else:
        assert "ungoverned_sub_agent" in client.read["c1"]
        assert ran == []


async def test_a_function_that_is_shared_with_another_agent_stays_what_it_was(
    settings: Settings, toolbox: Toolbox
) -> None:
    tools = tools_of(toolbox.coroutines, "lookup")
    client = Script([("c1", "lookup", QUERY)])
    await Agent(client, tools=tools, middleware=[SentinelMiddleware(settings)]).run("go")
    for others in (tools, copy.deepcopy(tools)):
        client = Script([("c1", "lookup", QUERY)])
        await Agent(client, tools=others).run("go")
        assert client.read["c1"] == "result of lookup: rust"


def test_the_example_of_the_guide(example: Callable[[str], str]) -> None:
    printed = example("microsoft_agent.py")
    assert "three pages about tracing" in printed
    assert "Denied because the tool is not registered" in printed
    assert "deleted" not in printed
