"""LangChain and LangGraph: a middleware for `create_agent`, and a `ToolNode` for other graphs.

The call is decided in the wrapper. The tool that the wrapper hands on is a stand-in which compares,
right before the tool runs, what it gets with what was decided; so a middleware after ours can
neither change arguments nor swap the tool.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Literal

from langchain.agents.middleware import AgentMiddleware
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import ToolMessage
from langchain_core.runnables.config import merge_configs
from langgraph.errors import GraphBubbleUp
from langgraph.prebuilt import ToolNode
from langgraph.prebuilt.tool_node import ToolCallRequest

from sentinel_mcp.errors import PolicyDenied, SentinelError
from sentinel_mcp.frameworks._gate import Gate, Names, Purpose, log, refused
from sentinel_mcp.plain import plain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from uuid import UUID

    from langchain_core.runnables import RunnableConfig
    from langchain_core.tools import BaseTool
    from langgraph.types import Command

    from sentinel_mcp.settings import Settings
    from sentinel_mcp.signing import Signature
    from sentinel_mcp.ticket import Ticket

    Result = ToolMessage | Command[Any]

SubAgents = Literal["refuse", "allow"]
# An interrupt is no outcome: the node runs again when the graph is resumed.
_PASSING: Final = (GraphBubbleUp,)


class SentinelMiddleware(AgentMiddleware[Any, Any, Any]):
    """Governs the tools of an agent: `create_agent(…, middleware=[SentinelMiddleware()])`.

    `names` maps tools to registered names, `purpose` is one for all or one for each registered
    name. A tool of an agent inside a tool (a sub-agent) that has no such middleware is refused,
    unless `sub_agents` is `"allow"`.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        names: Names = None,
        purpose: Purpose = None,
        agent: str | None = None,
        sub_agents: SubAgents = "refuse",
    ) -> None:
        super().__init__()
        self.tools = []
        self.gate = Gate(settings, names=names, purpose=purpose, agent=agent)
        self._callbacks = [_SubAgents()] if sub_agents == "refuse" else []

    def signature(self, tool_call_id: str) -> Signature | None:
        """Return the handle to the manifest of a recent call."""
        return self.gate.signature(tool_call_id)

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Result]
    ) -> Result:
        """Decide a call and run it; for `invoke` and `stream`."""
        one = _One(self, request)
        try:
            one.ticket = self.gate.decide_blocking(
                one.name, one.arguments, session=one.session, key=one.key
            )
            return handler(one.request())
        except SentinelError as error:
            return one.refusal(error)

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Result]]
    ) -> Result:
        """Decide a call and run it; for `ainvoke` and `astream`."""
        one = _One(self, request)
        try:
            one.ticket = await self.gate.decide(
                one.name, one.arguments, session=one.session, key=one.key
            )
            return await handler(one.request())
        except SentinelError as error:
            return one.refusal(error)


def tool_node(
    tools: Sequence[BaseTool | Callable[..., Any]],
    middleware: SentinelMiddleware | None = None,
    **options: Any,  # noqa: ANN401 - those of `ToolNode`
) -> ToolNode:
    """Return a `ToolNode` whose tools are governed, however the graph is run.

    A `ToolNode` that is given the asynchronous wrapper only skips it under `invoke`.
    """
    middleware = middleware or SentinelMiddleware()
    return ToolNode(
        tools,
        wrap_tool_call=middleware.wrap_tool_call,
        awrap_tool_call=middleware.awrap_tool_call,
        **options,
    )


def govern_subagents(
    specs: Sequence[dict[str, Any]], middleware: SentinelMiddleware
) -> list[dict[str, Any]]:
    """Return specifications of deepagents' sub-agents with the middleware.

    They do not inherit it. One that is compiled already is refused: build it with the middleware.
    The sub-agent `general-purpose`, which deepagents adds, is among the result.
    """
    governed = []
    for spec in specs:
        if "runnable" in spec or "graph_id" in spec:
            raise ValueError(f"the sub-agent `{spec['name']}` is built already: build it governed")
        governed.append({**spec, "middleware": [*spec.get("middleware", ()), middleware]})
    if all(spec["name"] != "general-purpose" for spec in governed):
        from deepagents.middleware.subagents import GENERAL_PURPOSE_SUBAGENT  # noqa: PLC0415

        governed.append({**GENERAL_PURPOSE_SUBAGENT, "middleware": [middleware]})
    return governed


class _One:
    """One call on its way through the middleware."""

    def __init__(self, middleware: SentinelMiddleware, request: ToolCallRequest) -> None:
        self.gate = middleware.gate
        self.callbacks = middleware._callbacks  # noqa: SLF001 - the two are one
        self._request = request
        self._tool = request.tool
        self.name = request.tool_call["name"]
        self.key = request.tool_call["id"] or ""
        self.arguments = _visible(request.tool, request.tool_call["args"])
        self.session = _session(request)
        self.ticket: Ticket | None = None

    def request(self) -> ToolCallRequest:
        """Return the request with the stand-in."""
        ours = self._request
        return _Request(
            tool_call=ours.tool_call,
            tool=_stand_in(ours.tool, self),
            state=ours.state,
            runtime=ours.runtime,
            one=self,
        )

    def take(self) -> Ticket | None:
        """Return the ticket, once: each further run needs a decision of its own."""
        ticket, self.ticket = self.ticket, None
        return ticket

    def refusal(self, error: SentinelError) -> ToolMessage:
        """Return what the model reads."""
        return ToolMessage(
            error.model_message,
            tool_call_id=self.key,
            name=self.name,
            status="error",
            artifact={"sentinel": refused(error)},
        )

    def run(self, tool: BaseTool, call: dict[str, Any], config: RunnableConfig | None) -> Any:  # noqa: ANN401
        """Run the tool, if this is the call that was decided."""
        name, arguments = tool.name, _visible(tool, call["args"])
        token = _STARTING.set(_Start())
        try:
            self._make_sure(tool)
            ticket = self.take() or self.gate.decide_blocking(
                name, arguments, session=self.session, key=self.key
            )
            return self.gate.run_blocking(
                ticket,
                name,
                arguments,
                lambda: tool.invoke(call, self._watched(config)),
                key=self.key,
                passing=_PASSING,
                judge=_judge,
            )
        except SentinelError as error:
            return self.refusal(error)
        finally:
            _STARTING.reset(token)

    async def arun(
        self, tool: BaseTool, call: dict[str, Any], config: RunnableConfig | None
    ) -> Any:  # noqa: ANN401
        """As `run`, for coroutines."""
        name, arguments = tool.name, _visible(tool, call["args"])
        token = _STARTING.set(_Start())
        try:
            self._make_sure(tool)
            ticket = self.take() or await self.gate.decide(
                name, arguments, session=self.session, key=self.key
            )
            return await self.gate.run(
                ticket,
                name,
                arguments,
                lambda: tool.ainvoke(call, self._watched(config)),
                key=self.key,
                passing=_PASSING,
                judge=_judge,
            )
        except SentinelError as error:
            return self.refusal(error)
        finally:
            _STARTING.reset(token)

    def _make_sure(self, tool: BaseTool) -> None:
        # A tool that the graph does not know (`None`) comes from a middleware in any case.
        if self._tool is not None and tool is not self._tool:
            raise PolicyDenied("another tool took its place", "arguments_changed")

    def _watched(self, config: RunnableConfig | None) -> RunnableConfig | None:
        if not self.callbacks:
            return config
        return merge_configs(config, {"callbacks": list(self.callbacks)})


class _Request(ToolCallRequest):
    """A request whose tool stays a stand-in, whatever a later middleware replaces."""

    def __init__(self, *, one: _One | None = None, **fields: Any) -> None:  # noqa: ANN401
        if one is None:
            # `dataclasses.replace` of a middleware: the stand-in knows the call.
            one = _one_of(fields["tool"])
        super().__init__(**fields)
        object.__setattr__(self, "_one", one)

    def override(self, **overrides: Any) -> ToolCallRequest:  # noqa: ANN401
        """Replace parts of the request; `dataclasses.replace` would forget the call."""
        fields = {name: overrides.get(name, getattr(self, name)) for name in _FIELDS}
        one: _One = self._one  # type: ignore[attr-defined]
        if overrides.get("tool") is not None:
            fields["tool"] = _stand_in(overrides["tool"], one)
        plain_request = ToolCallRequest(**{name: getattr(self, name) for name in _FIELDS})
        if "state" in overrides:
            fields["runtime"] = plain_request.override(state=overrides["state"]).runtime
        return _Request(one=one, **fields)


def _one_of(tool: BaseTool | None) -> _One:
    invoke = tool.__dict__.get("invoke") if tool is not None else None
    if not isinstance(invoke, _Invoke):
        raise PolicyDenied("another tool took its place", "arguments_changed")
    return invoke.one


_FIELDS: Final = ("tool_call", "tool", "state", "runtime")


def _stand_in(tool: BaseTool | None, one: _One) -> BaseTool | None:
    """Return a copy of a tool that runs the tool itself, when that is what was decided."""
    if tool is None or isinstance(tool.__dict__.get("invoke"), _Invoke):
        return tool
    copy = tool.model_copy()
    # The class of the tool stays, for what reads its schema and its injected arguments.
    copy.__dict__["invoke"] = _Invoke(tool, one)
    copy.__dict__["ainvoke"] = _Ainvoke(tool, one)
    return copy


class _Invoke:
    """Stands where `invoke` of the tool was."""

    def __init__(self, tool: BaseTool, one: _One) -> None:
        self._tool = tool
        self.one = one

    def __call__(self, input: dict[str, Any], config: RunnableConfig | None = None) -> Any:  # noqa: A002, ANN401
        return self.one.run(self._tool, input, config)


class _Ainvoke(_Invoke):
    """Stands where `ainvoke` of the tool was."""

    async def __call__(
        self,
        input: dict[str, Any],  # noqa: A002
        config: RunnableConfig | None = None,
    ) -> Any:  # noqa: ANN401
        return await self.one.arun(self._tool, input, config)


class _Start:
    """The start of a tool that a stand-in lets happen: the first one only."""

    run_id: UUID | None = None


_STARTING: ContextVar[_Start | None] = ContextVar("sentinel_mcp_langchain", default=None)


class _SubAgents(BaseCallbackHandler):
    """Stops the tools that a sub-agent would run without a decision.

    Callbacks are passed on to everything that runs inside a tool. Without `raise_error`, what a
    callback raises is only logged.
    """

    raise_error = True
    run_inline = True

    def on_tool_start(
        self,
        serialized: dict[str, Any],
        input_str: str,  # noqa: ARG002
        *,
        run_id: UUID,
        **more: Any,  # noqa: ANN401
    ) -> None:
        """Let a tool start if a stand-in is about to run it, or if no model asked for it."""
        start = _STARTING.get()
        if start is not None and start.run_id is None:
            start.run_id = run_id
            return
        if (start is not None and start.run_id == run_id) or more.get("tool_call_id") is None:
            return
        name = serialized.get("name")
        log.error("the tool `%s` of a sub-agent has no SentinelMiddleware: refused", name)
        reason = f"the sub-agent that called `{name}` is not governed"
        raise PolicyDenied(reason, "ungoverned_sub_agent")


def _session(request: ToolCallRequest) -> str | None:
    """Return what stays the same when a graph is resumed: without a thread, nothing is."""
    config = getattr(request.runtime, "config", None) or {}
    thread = config.get("configurable", {}).get("thread_id")
    return None if thread is None else f"langgraph:{thread}"


def _visible(tool: BaseTool | None, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments without those that the graph injects, which no model can set."""
    hidden = _injected(tool) if tool is not None else frozenset()
    return {name: plain(value) for name, value in arguments.items() if name not in hidden}


def _injected(tool: BaseTool) -> frozenset[str]:
    try:
        from langgraph.prebuilt.tool_node import _get_all_injected_args  # noqa: PLC0415
    except ImportError:
        return frozenset()
    injected = _get_all_injected_args(tool)
    names = {*injected.all_injected_keys, *injected.state, injected.store, injected.runtime}
    return frozenset(name for name in names if name is not None)


def _judge(result: Any) -> tuple[bool, object]:  # noqa: ANN401
    if isinstance(result, ToolMessage):
        return result.status != "error", result.content
    return True, result
