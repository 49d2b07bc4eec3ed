"""`governed`: a function that runs only when the control plane allows it."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from sentinel_mcp.call import Call
from sentinel_mcp.client import AsyncSentinel, Sentinel
from sentinel_mcp.plain import plain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sentinel_mcp.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")


def governed(
    tool: str,
    *,
    purpose: str | None = None,
    action: str = "call",
    settings: Settings | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Govern a function: `@governed("web-search", purpose="research")`.

    Each call is decided with its arguments by name, defaults included, and its outcome is signed.
    `self` and `cls` are not among them. Coroutine functions stay coroutine functions.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        call_of = _calls(function, tool, purpose, action)
        if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
            raise TypeError("a generator cannot be governed: its calls have no end")
        if inspect.iscoroutinefunction(function):
            return cast("Callable[P, R]", _of_coroutine(function, call_of, settings))
        return _of_function(function, call_of, settings)

    return decorate


def _of_coroutine(
    function: Callable[P, Awaitable[Any]],
    call_of: Callable[..., Call],
    settings: Settings | None,
) -> Callable[P, Awaitable[Any]]:
    client = AsyncSentinel(settings)

    @functools.wraps(function)
    async def call(*args: P.args, **kwargs: P.kwargs) -> Any:  # noqa: ANN401 - as the function
        ticket = await client.decide(call_of(*args, **kwargs))
        now = call_of(*args, **kwargs)
        return await ticket.run(now.tool, now.arguments, lambda: function(*args, **kwargs))

    return call


def _of_function(
    function: Callable[P, R], call_of: Callable[..., Call], settings: Settings | None
) -> Callable[P, R]:
    client = Sentinel(settings)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        ticket = client.decide(call_of(*args, **kwargs))
        now = call_of(*args, **kwargs)
        return ticket.run_blocking(now.tool, now.arguments, lambda: function(*args, **kwargs))

    return call


def _calls(
    function: Callable[..., Any], tool: str, purpose: str | None, action: str
) -> Callable[..., Call]:
    signature = inspect.signature(function)
    first = next(iter(signature.parameters), None)
    variable = {
        name for name, each in signature.parameters.items() if each.kind is each.VAR_KEYWORD
    }

    def call_of(*args: object, **kwargs: object) -> Call:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments = dict(bound.arguments)
        if first in {"self", "cls"}:
            arguments.pop(first, None)
        for name in variable:
            arguments.update(arguments.pop(name))
        return Call(tool, action, {name: plain(each) for name, each in arguments.items()}, purpose)

    return call_of
