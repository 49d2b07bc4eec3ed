"""Microsoft agent-framework: `Agent(client, …, middleware=[SentinelMiddleware()])`.

The middleware decides a call. Middleware that comes later may still change the arguments, so the
function itself is made to compare: it runs only what was decided, and only where a call came
through this middleware.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from agent_framework import Agent, FunctionMiddleware, FunctionTool
from agent_framework.exceptions import UserInputRequiredException

from sentinel_mcp.errors import PolicyDenied, SentinelError
from sentinel_mcp.frameworks._gate import Gate, Names, Purpose, log
from sentinel_mcp.plain import plain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agent_framework import FunctionInvocationContext

    from sentinel_mcp.settings import Settings
    from sentinel_mcp.signing import Signature
    from sentinel_mcp.ticket import Ticket

_KEY: Final = "sentinel_mcp"
# A question to the user is no outcome.
_PASSING: Final = (UserInputRequiredException,)


@dataclass
class _Entry:
    """A call that was decided, in the metadata of its context."""

    gate: Gate
    key: str
    ticket: Ticket | None

    def take(self) -> Ticket | None:
        ticket, self.ticket = self.ticket, None
        return ticket


class SentinelMiddleware(FunctionMiddleware):
    """Governs the functions that an agent calls.

    `names` maps functions to registered names, `purpose` is one for all or one for each registered
    name. An agent in a tool needs the middleware as well: without it, the tool is refused.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        names: Names = None,
        purpose: Purpose = None,
        agent: str | None = None,
    ) -> None:
        self.gate = Gate(settings, names=names, purpose=purpose, agent=agent)

    def signature(self, call_id: str) -> Signature | None:
        """Return the handle to the manifest of a recent call."""
        return self.gate.signature(call_id)

    async def process(
        self, context: FunctionInvocationContext, call_next: Callable[[], Awaitable[None]]
    ) -> None:
        """Decide a call; raise nothing, which the model would read as "Function failed"."""
        function, key = context.function, str(context.metadata.get("call_id", ""))
        try:
            _make_sure(function)
            ticket = await self.gate.decide(function.name, _plain(context.arguments), key=key)
        except SentinelError as error:
            context.result = error.model_message
            return
        context.metadata[_KEY] = _Entry(self.gate, key, ticket)
        _stand_in(function)
        await call_next()


class _Invoke:
    """Stands where `invoke` of a function was."""

    def __init__(self, function: FunctionTool) -> None:
        self._function = function

    async def __call__(self, **call: Any) -> Any:  # noqa: ANN401
        function = self._function
        run = type(function).invoke
        context = call.get("context")
        entry = context.metadata.get(_KEY) if context is not None else None
        if context is None or not isinstance(entry, _Entry):
            # An agent without the middleware has the same function.
            return await run(function, **call)
        given = call.get("arguments")
        try:
            arguments = _plain(context.arguments if given is None else given)
            ticket = entry.take() or await entry.gate.decide(
                function.name, arguments, key=entry.key
            )
            return await entry.gate.run(
                ticket,
                function.name,
                arguments,
                lambda: run(function, **call),
                key=entry.key,
                passing=_PASSING,
                judge=_judge,
            )
        except SentinelError as error:
            return error.model_message

    def __deepcopy__(self, memo: dict[int, Any]) -> _Invoke:
        """Run the copy, where a function was copied."""
        return _Invoke(memo.get(id(self._function), self._function))


def _stand_in(function: FunctionTool) -> None:
    if not isinstance(function.__dict__.get("invoke"), _Invoke):
        function.__dict__["invoke"] = _Invoke(function)


def _make_sure(function: FunctionTool) -> None:
    """Refuse an agent in a tool that has no such middleware: `as_tool` holds it in a closure."""
    for cell in getattr(function.func, "__closure__", None) or ():
        try:
            agent = cell.cell_contents
        except ValueError:  # An empty cell.
            continue
        if not isinstance(agent, Agent):
            continue
        if not any(isinstance(each, SentinelMiddleware) for each in agent.middleware or ()):
            log.error("the agent in `%s` has no SentinelMiddleware: refused", function.name)
            reason = f"the agent in `{function.name}` is not governed"
            raise PolicyDenied(reason, "ungoverned_sub_agent")


def _plain(arguments: Any) -> dict[str, Any]:  # noqa: ANN401
    value = plain(arguments)
    if not isinstance(value, Mapping):
        raise PolicyDenied("they are not one JSON object", "invalid_arguments")
    return dict(value)


def _judge(result: Any) -> tuple[bool, object]:  # noqa: ANN401
    if isinstance(result, list):
        return True, [
            each.to_dict() if hasattr(each, "to_dict") else plain(each) for each in result
        ]
    return True, plain(result)
