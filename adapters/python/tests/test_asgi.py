"""The permit check of tool servers, with permits of a real control plane."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from sentinel_mcp import Call, Sentinel
from sentinel_mcp.asgi import DECISION, META, RequirePermit
from sentinel_mcp.conformance import FakePlane
from sentinel_mcp.core import core_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sentinel_mcp import Settings
    from sentinel_mcp.conformance import RealPlane

ARGUMENTS = {"query": "rust", "limit": 3, "deep": {"a": [1, 2.5, None, "\u00e9"]}}


class Tool:
    """The application behind the check; it records what reaches it."""

    def __init__(self) -> None:
        self.ran: list[tuple[dict[str, Any], bytes]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while scope["type"] == "http":
            message = await receive()
            body += message["body"]
            if not message["more_body"]:
                break
        self.ran.append((dict(scope), body))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ran"})


class Server:
    """The application with its check."""

    def __init__(self, settings: Settings, **options: Any) -> None:
        self.tool = Tool()
        self.app = RequirePermit(self.tool, settings=settings, **options)

    def ask(  # noqa: PLR0913 - the parts of a request
        self,
        body: object = b"",
        permit: str | list[str] | None = None,
        *,
        method: str = "POST",
        path: str = "/mcp",
        query: bytes = b"",
        kind: str = "http",
        pieces: int = 1,
    ) -> tuple[int, Any]:
        """Send one request; return status and body of the answer."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        permits = [permit] if isinstance(permit, str) else permit or []
        headers = [(b"Sentinel-Permit", each.encode()) for each in permits]
        scope = {"type": kind, "method": method, "path": path, "query_string": query}
        size = max(1, -(-len(content) // pieces))
        parts = [content[start : start + size] for start in range(0, len(content), size)] or [b""]
        sent: list[Any] = []

        async def receive() -> Any:
            part = parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(parts)}

        async def send(message: Any) -> None:
            sent.append(message)

        async def serve() -> None:
            await self.app({**scope, "headers": headers}, receive, send)
            await asyncio.gather(*self.app._reports)

        asyncio.run(serve())
        if kind == "websocket":
            return 0, sent
        text = b"".join(message.get("body", b"") for message in sent[1:])
        is_json = text[:1] == b"{"
        return sent[0]["status"], json.loads(text) if is_json else text


def call(tool: str = "lookup", arguments: object = ARGUMENTS, **more: Any) -> dict[str, Any]:
    params = {"name": tool, "arguments": arguments, **more}
    return {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}


@pytest.fixture
def mcp(real: Settings) -> Server:
    return Server(real, tools=["lookup", "explode"])


@pytest.fixture
def agent(real: Settings) -> Iterator[Sentinel]:
    settings = real.replace(pass_permit=True)
    yield Sentinel(settings)
    core_of(settings).close()


def permit_for(
    agent: Sentinel, tool: str = "lookup", arguments: Mapping[str, Any] = ARGUMENTS
) -> str:
    ticket = agent.decide(Call(tool, arguments=arguments))
    ticket.verify(tool, arguments)
    assert ticket.permit
    return ticket.permit


def refused(answer: tuple[int, Any], code: str) -> None:
    """Make sure that it is the one form of a denial that every client of MCP survives."""
    status, reply = answer
    assert status == 200
    assert (reply["jsonrpc"], reply["id"]) == ("2.0", 7)
    result = reply["result"]
    assert result["isError"] is True
    (text,) = (each["text"] for each in result["content"])
    assert code in text


def test_a_permit_opens_the_tool_once(mcp: Server, agent: Sentinel) -> None:
    permit = permit_for(agent)
    assert mcp.ask(call(), permit, pieces=5) == (200, b"ran")
    ((scope, body),) = mcp.tool.ran
    assert json.loads(body) == call()
    assert len(scope[DECISION]) == 36
    refused(mcp.ask(call(), permit), "permit_used")
    assert len(mcp.tool.ran) == 1


def test_a_permit_may_come_in_the_message(mcp: Server, agent: Sentinel) -> None:
    permit = permit_for(agent)
    assert mcp.ask(call(_meta={META: permit})) == (200, b"ran")
    permit = permit_for(agent)
    assert mcp.ask(call(_meta={META: permit}), permit) == (200, b"ran")
    assert mcp.ask(call(_meta={META: permit}), permit_for(agent))[0] == 400
    assert len(mcp.tool.ran) == 2


@pytest.mark.parametrize("permit", [None, "", "garbage", "x" * 10_000, "\u00e9"])
def test_without_a_valid_permit_the_tool_does_not_run(mcp: Server, permit: str | None) -> None:
    status, reply = mcp.ask(call(), permit)
    assert status == 200
    assert reply["result"]["isError"] is True
    assert mcp.tool.ran == []


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("explode", ARGUMENTS),
        ("unknown", ARGUMENTS),
        ("lookup", {}),
        ("lookup", {**ARGUMENTS, "limit": 4}),
        ("lookup", {**ARGUMENTS, "limit": "3"}),
        ("lookup", {**ARGUMENTS, "more": None}),
    ],
)
def test_a_permit_is_for_one_call(
    mcp: Server, agent: Sentinel, tool: str, arguments: dict[str, Any]
) -> None:
    permit = permit_for(agent)
    status, reply = mcp.ask(call(tool, arguments), permit)
    assert (status, reply["result"]["isError"]) == (200, True)
    assert mcp.tool.ran == []
    assert mcp.ask(call(), permit) == (200, b"ran")  # It was not used up.


def test_a_call_without_arguments(mcp: Server, agent: Sentinel) -> None:
    message = call()
    del message["params"]["arguments"]
    assert mcp.ask(message, permit_for(agent, arguments={})) == (200, b"ran")


def test_tools_may_have_other_names_in_the_registry(real: Settings, agent: Sentinel) -> None:
    mcp = Server(real, tools={"find": "lookup"})
    assert mcp.ask(call("find"), permit_for(agent)) == (200, b"ran")
    refused(mcp.ask(call("lookup"), permit_for(agent)), "unknown_tool")
    unregistered = Server(real, tools=["lookup", "unregistered"])
    refused(unregistered.ask(call("unregistered"), permit_for(agent)), "unknown_tool")


def test_a_kill_stops_a_permit(mcp: Server, agent: Sentinel, server: RealPlane) -> None:
    permit = permit_for(agent)
    server.kill({"tool_name": "lookup", "reason": "incident 4711"})
    refused(mcp.ask(call(), permit), "killed")
    assert mcp.tool.ran == []


def test_other_methods_pass(mcp: Server) -> None:
    for method in ("initialize", "tools/list", "notifications/initialized", "ping"):
        assert mcp.ask({"jsonrpc": "2.0", "id": 1, "method": method}) == (200, b"ran")
    assert mcp.ask([{"jsonrpc": "2.0", "id": 1, "method": "ping"}]) == (200, b"ran")
    for method in ("GET", "DELETE"):
        assert mcp.ask(method=method) == (200, b"ran")
    assert len(mcp.tool.ran) == 7


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b'"tools/call"',
        json.dumps(call()).encode("utf-16"),
        b"\xef\xbb\xbf" + json.dumps(call()).encode(),
        json.dumps(call()).encode().replace(b'"id"', b'"method": "ping", "id"'),
        json.dumps(call()).encode()[:-2] + b',"name":"explode"}}',
        json.dumps(call()).encode().replace(b"2.5", b"NaN"),
        json.dumps([call()]).encode(),
        json.dumps([call(), {"method": "ping"}]).encode(),
        json.dumps([[call()]]).encode(),
        json.dumps({**call(), "params": [call()["params"]]}).encode(),
        json.dumps({**call(), "params": None}).encode(),
        json.dumps(call(arguments=["rust"])).encode(),
        json.dumps(call(arguments=None)).encode(),
        json.dumps(call(_meta=[])).encode(),
        json.dumps(call(_meta={META: 7})).encode(),
        b"[" * 100_000,
        b" " * (4 * 1024 * 1024 + 1),
    ],
)
def test_a_body_that_could_be_read_otherwise_is_refused(
    mcp: Server, agent: Sentinel, body: bytes
) -> None:
    status, problem = mcp.ask(body, permit_for(agent))
    assert status in {400, 413}
    assert problem["code"] == "invalid_call"
    assert mcp.tool.ran == []


def test_two_permits_are_none(mcp: Server, agent: Sentinel) -> None:
    assert mcp.ask(call(), [permit_for(agent), permit_for(agent)])[0] == 400
    assert mcp.tool.ran == []


def test_a_notification_that_calls_is_dropped(mcp: Server) -> None:
    message = call()
    del message["id"]
    assert mcp.ask(message) == (202, b"")
    assert mcp.tool.ran == []


def test_a_websocket_is_refused(mcp: Server) -> None:
    _, sent = mcp.ask(b"x", kind="websocket")
    assert sent == [{"type": "websocket.close", "code": 1008}]
    assert mcp.tool.ran == []


def test_plain_http(real: Settings, agent: Sentinel) -> None:
    http = Server(real, tool="lookup", exempt=frozenset({"/healthz"}))
    assert http.ask(ARGUMENTS, permit_for(agent)) == (200, b"ran")
    query = {"query": "rust", "limit": ""}
    permit = permit_for(agent, arguments=query)
    assert http.ask(method="GET", query=b"query=rust&limit=", permit=permit) == (200, b"ran")
    assert http.ask(method="GET", path="/healthz") == (200, b"ran")
    assert len(http.tool.ran) == 3
    status, problem = http.ask(ARGUMENTS)
    assert (status, problem["code"], problem["status"]) == (403, "no_permit", 403)
    assert http.ask(ARGUMENTS, permit)[0] == 403
    assert http.ask(method="GET", query=b"query=rust&query=go", permit=permit)[0] == 400
    assert http.ask(ARGUMENTS, permit_for(agent), query=b"admin=1")[0] == 400
    assert http.ask(["rust"], permit_for(agent))[0] == 400
    assert http.ask(method="OPTIONS")[0] == 403
    assert len(http.tool.ran) == 3


@pytest.mark.parametrize(
    "answer",
    [
        {"fault": "refuse"},
        {"fault": "hang"},
        {"fault": "close"},
        {"answer": {"status": 500, "headers": {"content-type": "application/json"}, "body": "{}"}},
        {"answer": {"status": 200, "headers": {"content-type": "application/json"}, "body": "{}"}},
        {
            "answer": {
                "status": 200,
                "headers": {"content-type": "application/json"},
                "body": '{"redeemed":"true","decision_id":"01a224f8-b15f-7640-8f5a-a43b2fb15b49",'
                '"tool_id":"01a224f8-b15f-7640-8f5a-a43b2fb15b49"}',
            }
        },
        {
            "answer": {
                "status": 200,
                "headers": {"content-type": "application/json"},
                "body": '{"redeemed":true,"decision_id":"01a224f8-b15f-7640-8f5a-a43b2fb15b49",'
                '"tool_id":"02a224f8-b15f-7640-8f5a-a43b2fb15b49"}',
            }
        },
    ],
)
def test_without_an_answer_the_tool_does_not_run(
    settings: Settings, answer: dict[str, Any]
) -> None:
    with FakePlane() as plane:
        plane.answers["/v1/permits/redeem"] = answer
        plane.tool_ids = {"lookup": "01a224f8-b15f-7640-8f5a-a43b2fb15b49"}
        mine = settings.replace(url=plane.url, timeout=0.3)
        if answer.get("fault") == "refuse":
            mine = mine.replace(url="http://127.0.0.1:9")
        for server in (Server(mine, tools=["lookup"]), Server(mine, tool="lookup")):
            status, reply = server.ask(call(), "permit")
            assert status == 503 or reply["result"]["isError"] is True
            assert server.tool.ran == []


def test_refusals_are_reported(settings: Settings, plane: FakePlane) -> None:
    server = Server(settings, tools=["lookup"])
    server.ask(call())
    deadline = time.monotonic() + 5
    while not plane.requests and time.monotonic() < deadline:
        time.sleep(0.01)
    ((path, body),) = plane.requests
    assert path == "/v1/tools/uncovered"
    assert body == {
        "tenant_slug": "conformance",
        "tool_name": "lookup",
        "action": "call",
        "reason": "no_permit",
    }


def test_reports_reach_the_control_plane(mcp: Server, agent: Sentinel, server: RealPlane) -> None:
    permit = permit_for(agent)
    mcp.ask(call(), permit)
    for each in (None, "garbage", permit):
        mcp.ask(call(), each)
    reports = server.ask("GET", f"/v1/decisions?tenant={server.tenant}&code=no_permit", "auditor")
    assert sorted(each["reason"] for each in reports["items"])
    assert len(reports["items"]) == 3


def test_what_is_served_must_be_said(settings: Settings) -> None:
    with pytest.raises(TypeError):
        RequirePermit(Tool(), settings=settings)
    with pytest.raises(TypeError):
        RequirePermit(Tool(), tools=[], tool="a", settings=settings)
    with pytest.raises(TypeError):
        RequirePermit(Tool(), tools="lookup", settings=settings)
