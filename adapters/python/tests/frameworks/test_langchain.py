"""The LangChain adapter with the real packages, a scripted model and a real control plane."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ToolRetryMiddleware
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, ToolMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.tools import StructuredTool, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import InjectedState, ToolNode
from langgraph.types import Command, interrupt
from sentinel_mcp.conformance import Case, PlannedCall, RealPlane, Toolbox, cases, check
from sentinel_mcp.frameworks.langchain import SentinelMiddleware, govern_subagents, tool_node

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from sentinel_mcp import Settings


class Model(GenericFakeChatModel):
    """A scripted model that takes tools and remembers what it read."""

    read: list[Any] = []

    def bind_tools(self, tools: Any, **_: Any) -> Model:
        return self

    def _generate(self, messages: Any, *args: Any, **more: Any) -> Any:
        self.read[:] = messages
        return super()._generate(messages, *args, **more)

    def _stream(self, messages: Any, *args: Any, **more: Any) -> Any:
        message = self._generate(messages, *args, **more).generations[0].message
        chunks = [
            {"index": n, "id": c["id"], "name": c["name"], "args": json.dumps(c["args"])}
            for n, c in enumerate(message.tool_calls)
        ]
        content = message.content
        chunk = AIMessageChunk(content=content, tool_call_chunks=chunks, chunk_position="last")
        yield ChatGenerationChunk(message=chunk)


def model(*answers: AIMessage) -> Model:
    """Return a model with a script."""
    return Model(messages=iter([*answers, AIMessage("done")]), read=[])


def asks(*calls: tuple[str, str, dict[str, Any]]) -> AIMessage:
    """Return an answer of the model with calls."""
    listed = [{"id": i, "name": n, "args": a, "type": "tool_call"} for i, n, a in calls]
    return AIMessage("", tool_calls=listed)


def results(messages: Sequence[Any]) -> dict[str, str]:
    """Return the results of calls among messages."""
    return {m.tool_call_id: str(m.content) for m in messages if isinstance(m, ToolMessage)}


class Rewrites(AgentMiddleware):
    """Comes after ours and changes the arguments of calls."""

    def __init__(self, change: Callable[[Any], Any]) -> None:
        self._change = change

    def wrap_tool_call(self, request: Any, handler: Any) -> Any:
        return handler(self._change(request))

    async def awrap_tool_call(self, request: Any, handler: Any) -> Any:
        return await handler(self._change(request))


def to(calls: Sequence[PlannedCall]) -> Callable[[Any], Any]:
    """Return what changes the calls that are planned to change."""
    changes = {call.id: call.changed_to for call in calls if call.changed_to is not None}

    def change(request: Any) -> Any:
        args = changes.get(request.tool_call["id"])
        if args is None:
            return request
        return request.override(tool_call={**request.tool_call, "args": args})

    return change


class AgentSession:
    """An agent of `create_agent`."""

    def __init__(self, toolbox: Toolbox, settings: Settings, way: str) -> None:
        self._middleware = SentinelMiddleware(settings)
        self._way = way
        pick = toolbox.functions if way == "invoke" else toolbox.coroutines
        kind = "func" if way == "invoke" else "coroutine"
        self._tools = [StructuredTool.from_function(**{kind: f}) for f in pick.values()]

    async def turn(self, calls: Sequence[PlannedCall]) -> Mapping[str, str]:
        script = model(asks(*[(c.id, c.tool, c.arguments) for c in calls]))
        middleware = [self._middleware, Rewrites(to(calls))]
        agent = create_agent(script, self._tools, middleware=middleware)
        content = {"messages": [("user", "go")]}
        try:
            if self._way == "invoke":
                await asyncio.to_thread(agent.invoke, content)
            elif self._way == "astream":
                async for _ in agent.astream(content, stream_mode=["updates", "messages"]):
                    pass
            else:
                await agent.ainvoke(content)
        except Exception as error:  # noqa: BLE001 - the kit judges it
            return {call.id: str(error) for call in calls}
        return results(script.read)


class NodeSession(AgentSession):
    """A graph of one's own with a governed `ToolNode`."""

    async def turn(self, calls: Sequence[PlannedCall]) -> Mapping[str, str]:
        node = tool_node(self._tools, self._middleware, handle_tool_errors=True)
        graph = StateGraph(MessagesState).add_node(node).add_edge(START, "tools").compile()
        content = {"messages": [asks(*[(c.id, c.tool, c.arguments) for c in calls])]}
        if self._way == "invoke":
            return results((await asyncio.to_thread(graph.invoke, content))["messages"])
        return results((await graph.ainvoke(content))["messages"])


class LangChain:
    """The framework, run in one way."""

    def __init__(self, way: str, session: type[AgentSession] = AgentSession) -> None:
        self.name = f"langchain {way}"
        self.lacks: dict[str, str] = {}
        if session is NodeSession:
            self.lacks["changed_arguments"] = "nothing comes after the wrapper of a ToolNode"
        self._way = way
        self._session = session

    def open(self, toolbox: Toolbox, settings: Settings) -> AgentSession:
        return self._session(toolbox, settings, self._way)


def kit(*harnesses: LangChain, truthful: bool = False) -> Any:
    """Return the cases of the kit for some ways to run the framework."""
    params = [(h, case) for h in harnesses for case in cases(h.lacks, truthful=truthful)]
    return pytest.mark.parametrize(
        ("harness", "case"), params, ids=[f"{h.name}-{c}".replace(" ", "-") for h, c in params]
    )


@kit(LangChain("ainvoke"))
def test_conformance(harness: LangChain, case: Case, tmp_path: Path) -> None:
    check(case, harness, tmp_path)


@kit(
    LangChain("ainvoke"),
    LangChain("invoke"),
    LangChain("astream"),
    LangChain("ainvoke", NodeSession),
    LangChain("invoke", NodeSession),
    truthful=True,
)
def test_conformance_with_a_real_control_plane(
    harness: LangChain, case: Case, tmp_path: Path, plane: RealPlane
) -> None:
    check(case, harness, tmp_path, plane)


def agent_of(script: Model, settings: Settings, tools: list[Any], *after: Any, **more: Any) -> Any:
    """Return an agent with the middleware, and others after it."""
    return create_agent(script, tools, middleware=[SentinelMiddleware(settings), *after], **more)


GO = {"messages": [("user", "go")]}
QUERY = {"query": "rust"}


def lookup_of(toolbox: Toolbox) -> StructuredTool:
    return StructuredTool.from_function(toolbox.functions["lookup"])


def test_a_real_control_plane_decides_and_signs(
    plane: RealPlane, settings: Settings, toolbox: Toolbox
) -> None:
    tools = [StructuredTool.from_function(f) for f in toolbox.functions.values()]
    script = model(asks(("c1", "lookup", QUERY), ("c2", "forbidden", QUERY)))
    middleware = SentinelMiddleware(settings)
    create_agent(script, tools, middleware=[middleware]).invoke(GO)
    read = results(script.read)
    assert read["c1"] == "result of lookup: rust"
    assert "Denied by policy: writes need an approval" in read["c2"]
    assert [run.tool for run in toolbox.started] == ["lookup"]
    signature = middleware.signature("c1")
    assert signature is not None
    manifest = signature.wait(10)
    verified = plane.ask("GET", f"/provenance/verify/{manifest}", "auditor")
    assert verified["verified"] is True
    assert verified["manifest"]["tool"] == "lookup"
    assert middleware.signature("c2") is None


def test_a_tool_that_is_replaced_does_not_run(settings: Settings, toolbox: Toolbox) -> None:
    ran: list[str] = []

    @tool("lookup")
    def other(query: str) -> str:
        """Look up."""
        ran.append(query)
        return "other"

    script = model(asks(("c1", "lookup", QUERY)))
    swap = Rewrites(lambda request: request.override(tool=other))
    agent_of(script, settings, [lookup_of(toolbox)], swap).invoke(GO)
    assert "arguments_changed" in results(script.read)["c1"]
    assert (ran, toolbox.started) == ([], [])


@pytest.mark.parametrize("swaps", [True, False])
def test_a_request_that_is_replaced_keeps_the_comparison(
    settings: Settings, toolbox: Toolbox, swaps: bool
) -> None:
    forbidden = StructuredTool.from_function(toolbox.functions["forbidden"])

    def change(request: Any) -> Any:
        if swaps:
            return replace(request, tool=forbidden)
        return replace(request, tool_call={**request.tool_call, "args": {"query": "other"}})

    script = model(asks(("c1", "lookup", QUERY)))
    agent_of(script, settings, [lookup_of(toolbox)], Rewrites(change)).invoke(GO)
    assert "arguments_changed" in results(script.read)["c1"]
    assert toolbox.started == []


def test_a_change_in_place_does_not_run(settings: Settings, toolbox: Toolbox) -> None:
    def change(request: Any) -> Any:
        request.tool_call["args"]["query"] = "other"
        return request

    script = model(asks(("c1", "lookup", dict(QUERY))))
    agent_of(script, settings, [lookup_of(toolbox)], Rewrites(change)).invoke(GO)
    assert "arguments_changed" in results(script.read)["c1"]
    assert toolbox.started == []


def test_a_change_before_ours_is_what_is_decided(settings: Settings, toolbox: Toolbox) -> None:
    script = model(asks(("c1", "lookup", QUERY)))
    first = Rewrites(to([PlannedCall("c1", "lookup", QUERY, changed_to={"query": "other"})]))
    middleware = [first, SentinelMiddleware(settings)]
    create_agent(script, [lookup_of(toolbox)], middleware=middleware).invoke(GO)
    assert results(script.read)["c1"] == "result of lookup: other"


@pytest.mark.parametrize("outer", [True, False])
def test_each_attempt_of_a_retry_is_decided(
    plane: RealPlane, settings: Settings, toolbox: Toolbox, outer: bool
) -> None:
    ours = SentinelMiddleware(settings)
    retry = ToolRetryMiddleware(max_retries=2, initial_delay=0.0, jitter=False)
    script = model(asks(("c1", "explode", QUERY)))
    tools = [StructuredTool.from_function(toolbox.functions["explode"])]
    before = plane.checks()
    middleware = [retry, ours] if outer else [ours, retry]
    create_agent(script, tools, middleware=middleware).invoke(GO)
    assert len(toolbox.started) == 3
    assert plane.checks() - before == 3


def test_a_retry_in_one_thread_is_a_new_call(
    plane: RealPlane, settings: Settings, toolbox: Toolbox
) -> None:
    retry = ToolRetryMiddleware(max_retries=1, initial_delay=0.0, jitter=False)
    script = model(asks(("c1", "explode", QUERY)))
    tools = [StructuredTool.from_function(toolbox.functions["explode"])]
    middleware = [retry, SentinelMiddleware(settings)]
    agent = create_agent(script, tools, middleware=middleware, checkpointer=InMemorySaver())
    before = plane.checks()
    agent.invoke(GO, {"configurable": {"thread_id": "t1"}})
    assert plane.checks() - before == 2


@pytest.mark.parametrize("asynchronous", [True, False])
def test_an_interrupt_passes_and_the_call_is_counted_once(
    plane: RealPlane, settings: Settings, asynchronous: bool
) -> None:
    ran: list[str] = []

    @tool("lookup")
    def asking(query: str) -> str:
        """Look up, after asking."""
        answer = interrupt("sure?")
        ran.append(query)
        return f"asked: {answer}"

    script = model(asks(("c1", "lookup", QUERY)))
    agent = agent_of(script, settings, [asking], checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": f"interrupt-{asynchronous}"}}
    run: Any = agent.invoke
    if asynchronous:
        run = lambda *args: asyncio.run(agent.ainvoke(*args))  # noqa: E731
    before = len(plane.decisions())
    stopped = run(GO, thread)
    assert stopped["__interrupt__"][0].value == "sure?"
    assert ran == []
    run(Command(resume="yes"), thread)
    assert results(script.read)["c1"] == "asked: yes"
    assert ran == ["rust"]
    assert len(set(plane.decisions())) - before == 1


def test_injected_arguments_are_not_decided_and_cannot_be_forged(settings: Settings) -> None:
    seen: list[int] = []

    @tool("lookup")
    def counting(query: str, state: Annotated[dict[str, Any], InjectedState]) -> str:
        """Look up."""
        seen.append(len(state["messages"]))
        return query

    script = model(asks(("c1", "lookup", {**QUERY, "state": {"messages": [1] * 9}})))
    agent_of(script, settings, [counting]).invoke(GO)
    assert results(script.read)["c1"] == "rust"
    assert seen == [2]


def test_the_asynchronous_wrapper_alone_is_what_tool_node_replaces(
    settings: Settings, toolbox: Toolbox
) -> None:
    """The trap that `tool_node` is for: LangGraph skips the wrapper, and the tool runs."""
    middleware = SentinelMiddleware(settings)
    forbidden = StructuredTool.from_function(toolbox.functions["forbidden"])
    content = {"messages": [asks(("c1", "forbidden", QUERY))]}

    def run(node: ToolNode) -> str:
        graph = StateGraph(MessagesState).add_node(node).add_edge(START, "tools").compile()
        return results(graph.invoke(content)["messages"])["c1"]

    trap = ToolNode([forbidden], awrap_tool_call=middleware.awrap_tool_call)
    assert run(trap) == "result of forbidden: rust"
    assert "Denied by policy" in run(tool_node([forbidden], middleware))
    assert len(toolbox.started) == 1


def test_a_sub_agent_without_the_middleware_is_refused(
    settings: Settings, toolbox: Toolbox, caplog: pytest.LogCaptureFixture
) -> None:
    forbidden = StructuredTool.from_function(toolbox.functions["forbidden"])
    # The identifiers are equal on purpose: they do not tell the two calls apart.
    inner = create_agent(model(asks(("c1", "forbidden", QUERY))), [forbidden])

    @tool("lookup")
    def delegate(query: str) -> str:
        """Look up."""
        return str(inner.invoke({"messages": [("user", query)]})["messages"][-1].content)

    script = model(asks(("c1", "lookup", QUERY)))
    agent_of(script, settings, [delegate]).invoke(GO)
    assert "ungoverned_sub_agent" in results(script.read)["c1"]
    assert toolbox.started == []
    assert "the tool `forbidden` of a sub-agent has no SentinelMiddleware" in caplog.text


async def test_an_asynchronous_sub_agent_without_the_middleware_is_refused(
    settings: Settings, toolbox: Toolbox
) -> None:
    forbidden = StructuredTool.from_function(coroutine=toolbox.coroutines["forbidden"])
    inner = create_agent(model(asks(("i1", "forbidden", QUERY))), [forbidden])

    @tool("lookup")
    async def delegate(query: str) -> str:
        """Look up."""
        return str((await inner.ainvoke({"messages": [("user", query)]}))["messages"][-1].content)

    script = model(asks(("c1", "lookup", QUERY)))
    await agent_of(script, settings, [delegate]).ainvoke(GO)
    assert "ungoverned_sub_agent" in results(script.read)["c1"]
    assert toolbox.started == []


def test_a_governed_sub_agent_and_a_tool_that_uses_a_tool_run(
    settings: Settings, toolbox: Toolbox
) -> None:
    lookup = lookup_of(toolbox)
    inner_script = model(asks(("c1", "lookup", QUERY)))
    inner = agent_of(inner_script, settings, [lookup])

    @tool("wait")
    def delegate(query: str) -> str:
        """Delegate."""
        inner.invoke({"messages": [("user", query)]})
        # A tool that calls another one by itself: no model asked for it.
        return str(lookup.invoke({"query": "direct"}))

    script = model(asks(("c1", "wait", QUERY)))
    agent_of(script, settings, [delegate]).invoke(GO)
    assert results(inner_script.read)["c1"] == "result of lookup: rust"
    assert results(script.read)["c1"] == "result of lookup: direct"


@pytest.mark.parametrize("governed", [True, False])
async def test_sub_agents_of_deepagents(
    settings: Settings, toolbox: Toolbox, governed: bool
) -> None:
    """They do not inherit middleware: refused without it, governed with it."""
    from deepagents import create_deep_agent

    forbidden = StructuredTool.from_function(coroutine=toolbox.coroutines["forbidden"])
    lookup = StructuredTool.from_function(coroutine=toolbox.coroutines["lookup"])
    inner = model(asks(("i1", "lookup", QUERY), ("i2", "forbidden", QUERY)))
    script = model(asks(("c1", "task", {"description": "x", "subagent_type": "worker"})))
    spec = {
        "name": "worker",
        "description": "works",
        "system_prompt": "work",
        "tools": [lookup, forbidden],
        "model": inner,
    }
    # `task` itself is allowed here, so that it is the sub-agent that is judged.
    middleware = SentinelMiddleware(settings, names={"task": "lookup"})
    subagents = govern_subagents([spec], middleware) if governed else [spec]
    agent = create_deep_agent(script, [lookup], middleware=[middleware], subagents=subagents)
    await agent.ainvoke(GO)
    ran = [run.tool for run in toolbox.started]
    if governed:
        assert ran == ["lookup"]
        assert "Denied by policy" in results(inner.read)["i2"]
    else:
        assert ran == []
        assert "ungoverned_sub_agent" in results(script.read)["c1"]


def test_sub_agents_that_are_built_already_are_refused(settings: Settings) -> None:
    with pytest.raises(ValueError, match="build it governed"):
        govern_subagents([{"name": "x", "runnable": object()}], SentinelMiddleware(settings))


def test_names_and_purposes_are_those_of_the_registry(
    plane: RealPlane, settings: Settings, toolbox: Toolbox
) -> None:
    lookup = StructuredTool.from_function(toolbox.functions["lookup"], name="look_it_up")
    script = model(asks(("c1", "look_it_up", QUERY)))
    middleware = SentinelMiddleware(
        settings, names={"look_it_up": "lookup"}, purpose={"lookup": "research"}
    )
    create_agent(script, [lookup], middleware=[middleware]).invoke(GO)
    assert results(script.read)["c1"] == "result of lookup: rust"
    latest = plane.ask("GET", f"/v1/decisions?tenant={plane.tenant}&limit=1", "admin")["items"][0]
    assert (latest["tool"], latest["purpose"]) == ("lookup", "research")


def test_the_middleware_can_be_copied_and_pickled(
    settings: Settings, toolbox: Toolbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTINEL_API_KEY", settings.api_key)
    middleware = SentinelMiddleware(settings)
    for other in (copy.deepcopy(middleware), pickle.loads(pickle.dumps(middleware))):  # noqa: S301
        script = model(asks(("c1", "lookup", QUERY)))
        create_agent(script, [lookup_of(toolbox)], middleware=[other]).invoke(GO)
        assert results(script.read)["c1"] == "result of lookup: rust"


def test_the_example_of_the_guide(example: Callable[[str], str]) -> None:
    printed = example("langchain_agent.py")
    assert "three pages about tracing" in printed
    assert "Denied because the tool is not registered" in printed
    assert "deleted" not in printed
