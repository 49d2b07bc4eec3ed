"""For servers of tools: calls without a permit do not reach the tool.

```python
app = RequirePermit(app, tools=["search", "fetch"])  # an MCP server
app = RequirePermit(app, tool="search")  # plain HTTP: each request is a call
```

Each permit is redeemed at the control plane with the server's own key: once, for this tool and
these arguments, and only while the call would still be allowed. When the control plane cannot be
asked, the tool does not run.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qsl

from sentinel_mcp import answers
from sentinel_mcp.canonical import NotJson, canonical
from sentinel_mcp.core import Core, core_of
from sentinel_mcp.errors import ControlPlaneUnavailable, PolicyDenied, SentinelError
from sentinel_mcp.registry import Registry
from sentinel_mcp.settings import Settings
from sentinel_mcp.wording import plain

if TYPE_CHECKING:
    from sentinel_mcp.wire import RedeemRequest, Uncovered, UncoveredRequest

HEADER: Final = b"sentinel-permit"
META: Final = "sentinel/permit"
DECISION: Final = "sentinel.decision_id"

_LOG: Final = logging.getLogger("sentinel_mcp")
_REDEEM: Final = "/v1/permits/redeem"
_UNCOVERED: Final = "/v1/tools/uncovered"
_LARGEST_BODY: Final = 4 * 1024 * 1024
_LARGEST_PERMIT: Final = 8192
_REPORTS: Final = 8
_REASONS: Final[dict[str, Uncovered]] = {
    "no_permit": "no_permit",
    "permit_invalid": "permit_invalid",
    "permit_used": "permit_used",
}
_LONGEST_NAME: Final = 200

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class _Asked(NamedTuple):
    """A call that a request makes."""

    tool: str
    """As it is registered, when it is served here."""
    arguments: dict[str, Any]
    permit: str | None
    request_id: object = None
    """Of JSON-RPC; `None` for a notification."""
    served: bool = True


class _Refused(Exception):  # noqa: N818 - what becomes of the request
    """The request is refused before anything is asked."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class RequirePermit:
    """Refuses calls without a valid, unused permit for exactly this call.

    With `tools` the application is an MCP server: `tools/call` needs a permit, in the header
    `Sentinel-Permit` or in `_meta["sentinel/permit"]`; other methods pass. Where the tools are
    registered under other names, it is a mapping from the server's names to those. With `tool`,
    its registered name, every request is a call of that tool, whose arguments are the JSON object
    of the body, or the query of a request without one. The path is no argument: wrap one endpoint.

    `exempt` are paths that pass, such as `/healthz`. `action` is named in reports of calls without
    a permit.
    """

    def __init__(  # noqa: PLR0913 - settings, each with a name
        self,
        app: App,
        *,
        tools: Mapping[str, str] | Collection[str] | None = None,
        tool: str | None = None,
        action: str = "call",
        exempt: frozenset[str] = frozenset(),
        settings: Settings | None = None,
    ) -> None:
        if (tools is None) == (tool is None):
            raise TypeError("either `tools` or `tool` says what the application serves")
        self._app = app
        self._tools = None if tools is None else _names(tools)
        self._tool = tool
        self._registry = Registry()
        self._action = action
        self._exempt = exempt
        self._settings = settings
        self._reports: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        kind = scope["type"]
        if kind == "lifespan" or (kind == "http" and scope["path"] in self._exempt):
            await self._app(scope, receive, send)
        elif kind != "http":
            await _close(receive, send)
        elif self._tools is not None and scope["method"] in {"GET", "DELETE", "HEAD", "OPTIONS"}:
            await self._app(scope, receive, send)  # Streams and sessions of MCP: no calls.
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await _body(receive)
            asked = self._asked(scope, body)
        except _Refused as refused:
            await _problem(send, refused.status, "invalid_call", refused.reason)
            return
        if asked is not None:
            try:
                scope[DECISION] = await self._redeem(asked)
            except SentinelError as error:
                _LOG.warning("%s: refused: %s", plain(asked.tool, _LONGEST_NAME), error.code)
                self._report(asked, error)
                await self._refuse(send, asked, error)
                return
        await self._app(scope, _again(body, receive), send)

    def _asked(self, scope: Scope, body: bytes) -> _Asked | None:
        header = _header(scope)
        if self._tool is not None:
            return _Asked(self._tool, _http_arguments(scope, body), header)
        message = _json(body)
        if isinstance(message, list):
            if all(type(each) is dict and each.get("method") != "tools/call" for each in message):
                return None
            raise _Refused("calls are not taken in batches: each needs a permit of its own")
        if type(message) is not dict:
            raise _Refused("the message is not an object")
        if message.get("method") != "tools/call":
            return None
        return self._mcp_call(message, header)

    def _mcp_call(self, message: dict[str, Any], header: str | None) -> _Asked:
        params = message.get("params")
        if type(params) is not dict or not isinstance(params.get("name"), str):
            raise _Refused("the call names no tool")
        arguments, meta = params.get("arguments", {}), params.get("_meta", {})
        if type(arguments) is not dict or type(meta) is not dict:
            raise _Refused("the arguments are not an object")
        permit = meta.get(META, header)
        if header is not None and permit != header:
            raise _Refused("the request carries two permits")
        if permit is not None and not isinstance(permit, str):
            raise _Refused("the permit is not a text")
        name = (self._tools or {}).get(params["name"], "")
        return _Asked(
            name or params["name"], arguments, permit, message.get("id"), served=bool(name)
        )

    async def _redeem(self, asked: _Asked) -> str:
        """Use the permit up; returns the decision. Raises a `SentinelError`."""
        if not asked.permit:
            raise PolicyDenied("the call carries no permit", "no_permit")
        if len(asked.permit) > _LARGEST_PERMIT:
            raise PolicyDenied("the permit is too long", "permit_invalid")
        core = self._core()
        tool_id = await self._registry.id_of(core, asked.tool) if asked.served else ""
        if not tool_id:
            raise PolicyDenied("the tool is not one that is served here", "unknown_tool")
        request: RedeemRequest = {
            "permit": asked.permit,
            "tool_id": tool_id,
            "arguments": asked.arguments,
        }
        try:
            body = canonical(request)
        except NotJson as error:
            raise PolicyDenied(f"the call is not JSON: {error}", "invalid_arguments") from None
        answer = await core.http.post(_REDEEM, body, core.settings.timeout)
        return answers.redeemed(answer, tool_id)

    def _core(self) -> Core:
        if self._settings is None:
            self._settings = Settings.from_env()
        return core_of(self._settings)

    async def _refuse(self, send: Send, asked: _Asked, error: SentinelError) -> None:
        if self._tools is None:
            status = 503 if isinstance(error, ControlPlaneUnavailable) else 403
            await _problem(send, status, error.code, error.reason)
        elif asked.request_id is None:
            await _respond(send, 202, b"application/json", b"")
        else:
            # The only form of a denial that every client of MCP survives, and shows to the model.
            content = [{"type": "text", "text": error.model_message}]
            result = {"isError": True, "content": content}
            reply = {"jsonrpc": "2.0", "id": asked.request_id, "result": result}
            await _respond(send, 200, b"application/json", json.dumps(reply).encode())

    def _report(self, asked: _Asked, error: SentinelError) -> None:
        """Tell the control plane of a tool that was called without it; nothing waits for that."""
        if isinstance(error, ControlPlaneUnavailable) or len(self._reports) >= _REPORTS:
            return
        task = asyncio.get_running_loop().create_task(self._send_report(asked.tool, error.code))
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)

    async def _send_report(self, tool: str, code: str) -> None:
        core = self._core()
        report: UncoveredRequest = {
            "tenant_slug": core.settings.tenant,
            "tool_name": tool,
            "action": self._action,
            "reason": _REASONS.get(code, "permit_refused"),
        }
        try:
            # One of an earlier version does not know the path, which does not matter.
            await core.http.post(_UNCOVERED, canonical(report), core.settings.timeout)
        except (SentinelError, NotJson) as failed:
            _LOG.debug("a refusal is not reported: %s", type(failed).__name__)


def _names(tools: Mapping[str, str] | Collection[str]) -> dict[str, str]:
    if isinstance(tools, str):
        raise TypeError("`tools` is a collection of names, and not one name")
    return dict(tools) if isinstance(tools, Mapping) else {name: name for name in tools}


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise _Refused("the client is gone")
        part = message.get("body", b"")
        size += len(part)
        if size > _LARGEST_BODY:
            raise _Refused("the body is too large", 413)
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body once more."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _header(scope: Scope) -> str | None:
    found = [value for name, value in scope["headers"] if name.lower() == HEADER]
    if len(found) > 1:
        raise _Refused("the request carries two permits")
    return found[0].decode("latin-1") if found else None


def _json(body: bytes) -> object:
    """Parse strictly: what is redeemed must be what the application reads."""
    try:
        return answers.value(body)
    except ValueError as error:
        raise _Refused(f"the body cannot be relied on: {error}") from None


def _http_arguments(scope: Scope, body: bytes) -> dict[str, Any]:
    query = scope.get("query_string", b"")
    if body:
        parsed = _json(body)
        if type(parsed) is not dict:
            raise _Refused("the body is not an object")
        if query:
            raise _Refused("the request has arguments in its query and in its body")
        return parsed
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise _Refused("the query cannot be read") from None
    arguments: dict[str, Any] = dict(pairs)
    if len(arguments) != len(pairs):
        raise _Refused("an argument occurs twice")
    return arguments


async def _problem(send: Send, status: int, code: str, reason: str) -> None:
    problem = {
        "type": f"https://sentinel-mcp.dev/problems/{code}",
        "title": code.replace("_", " "),
        "status": status,
        "detail": reason,
        "code": code,
    }
    await _respond(send, status, b"application/problem+json", json.dumps(problem).encode())


async def _respond(send: Send, status: int, kind: bytes, body: bytes) -> None:
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _close(receive: Receive, send: Send) -> None:
    """Refuse a WebSocket: a permit is for one call."""
    await receive()
    await send({"type": "websocket.close", "code": 1008})
