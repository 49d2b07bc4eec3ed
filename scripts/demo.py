#!/usr/bin/env python3
"""Govern a real MCP tool with Sentinel, step by step.

Starts the MCP server `mcp-server-time` over stdio and registers it at a running Sentinel. For each
call it asks Sentinel, calls the tool only when `allow` is exactly true, signs the outcome and
verifies the manifest. Then a wrong purpose, an exceeded quota, a kill and a restore.

Reads from the environment:
  SENTINEL_URL        the address of Sentinel (default http://127.0.0.1:8000)
  SENTINEL_API_KEY    one key for everything
  SENTINEL_DATA_DIR   of `sentinel dev` (default .sentinel); without SENTINEL_API_KEY, the keys, one
                      per role, are read from keys.json there, for a Sentinel on this machine only

Exit status: 0 when everything was as expected, 1 when not.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import ipaddress
import json
import os
import sys
import urllib.parse
import urllib.request
import uuid
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from mcp import Client, MCPError, StdioServerParameters
from mcp.types import TextContent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEFAULT_URL = "http://127.0.0.1:8000"
DATA_DIR = Path(__file__).resolve().parent.parent / ".sentinel"

TENANT = "demo"
TOOL = "mcp-server-time"
AGENT = "demo-agent"
ACTION = "get_current_time"
ARGUMENTS: dict[str, object] = {"timezone": "Europe/Paris"}
RIGHT_PURPOSE = "scheduling"
WRONG_PURPOSE = "marketing"
KILL_REASON = "the demo shows the kill switch"

HTTP_TIMEOUT = 10.0  # seconds
TOOL_TIMEOUT = 20.0  # seconds
# Far above the quota of the demo's policy: if so many calls are allowed, no quota applies.
MOST_CALLS = 50

Json: TypeAlias = dict[str, object]


class DemoError(Exception):
    """Something was not as expected; the demo ends with status 1."""


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Flatten groups of errors."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


# What people see -------------------------------------------------------------------------------

COLOURS = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
BOLD, DIM, RED, GREEN, CYAN = "1", "2", "31", "32", "36"


def styled(style: str, text: str) -> str:
    """Text in an ANSI style, on a terminal only."""
    return f"\x1b[{style}m{text}\x1b[0m" if COLOURS else text


def printable(value: object) -> str:
    """Show a value on one line, without control characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def say(text: str = "") -> None:
    """Print and flush, so that the order is right when the output goes to a file."""
    print(text, flush=True)


def heading(number: int, title: str, explanation: str) -> None:
    """Begin a step."""
    say(f"\n{styled(BOLD, f'{number}. {title}')}\n   {styled(DIM, explanation)}\n")


def request_line(text: str) -> None:
    """Show a request, in one line."""
    say(f"   {styled(CYAN, '→')} {text}")


def answer_lines(pairs: Mapping[str, object]) -> None:
    """Show a response: names and values in aligned columns."""
    width = max(map(len, pairs), default=0)
    for name, value in pairs.items():
        text = printable(value)
        if name in {"allow", "verified"}:
            text = styled(GREEN if value is True else RED, text)
        say(f"     {styled(DIM, name.ljust(width))}  {text}")


def as_expected(text: str) -> None:
    """Report what a step has shown."""
    say(f"   {styled(GREEN, '✓')} {text}")


def require(condition: bool, expected: str) -> None:  # noqa: FBT001 - reads as a sentence
    """End the demo unless the condition holds."""
    if not condition:
        raise DemoError(f"expected that {expected}")


# Sentinel --------------------------------------------------------------------------------------


def text_of(answer: Json, name: str) -> str:
    """Read a field that must be a text."""
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise DemoError(f"the answer has no text `{name}`: {printable(answer)}")
    return value


def objects_of(answer: Json, name: str) -> list[Json]:
    """Read a field that must be a list of objects."""
    value = answer.get(name)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise DemoError(f"the answer has no list of objects `{name}`: {printable(answer)}")
    return value


@dataclass(frozen=True)
class Answer:
    """The response of Sentinel to one request."""

    status: int
    body: Json

    def expect(self, *statuses: HTTPStatus) -> Json:
        """Return the body if the status is one of these."""
        if self.status not in statuses:
            detail = self.body.get("detail") or self.body.get("title") or "no detail"
            message = f"Sentinel answered {self.status}: {printable(detail)}"
            if self.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
                message += " (the key comes from SENTINEL_API_KEY or SENTINEL_DATA_DIR)"
            raise DemoError(message)
        return self.body


class Sentinel:
    """The part of Sentinel's HTTP interface that the demo uses."""

    def __init__(self, url: str, keys: Mapping[str, str]) -> None:
        """Take the base URL and one key per role."""
        if urllib.parse.urlsplit(url).scheme not in {"http", "https"}:
            raise DemoError(f"SENTINEL_URL must be an http or https address, not `{url}`")
        self.url = url.rstrip("/")
        self._keys = keys
        # No proxies, redirects or other schemes: a key is sent to this address only.
        self._opener = urllib.request.OpenerDirector()
        self._opener.add_handler(urllib.request.HTTPHandler())
        self._opener.add_handler(urllib.request.HTTPSHandler())

    def get(self, role: str, path: str, query: Mapping[str, str] | None = None) -> Answer:
        """Send a request with the key of `role`."""
        suffix = f"?{urllib.parse.urlencode(query)}" if query else ""
        return self._send(role, "GET", path + suffix, None)

    def post(self, role: str, path: str, body: Json) -> Answer:
        """Send `body` with the key of `role`."""
        return self._send(role, "POST", path, body)

    def _send(self, role: str, method: str, path: str, body: Json | None) -> Answer:
        request = urllib.request.Request(  # noqa: S310 - the opener knows http and https only
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"accept": "application/json", "content-type": "application/json"},
            method=method,
        )
        if key := self._keys.get(role):
            request.add_header("authorization", f"Bearer {key}")
        try:
            with self._opener.open(request, timeout=HTTP_TIMEOUT) as response:
                status, raw = response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise DemoError(f"{method} {path} failed: {error}") from error
        try:
            parsed: object = json.loads(raw)
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict):
            raise DemoError(f"{method} {path} answered {status}, without a JSON object")
        return Answer(status, parsed)


@dataclass(frozen=True)
class Allowed:
    """A call that Sentinel allowed. The tool takes one, so nothing else can be called."""

    decision_id: str
    purpose: str
    answer: Json


@dataclass(frozen=True)
class Denied:
    """A call that Sentinel denied."""

    decision_id: str
    code: str
    answer: Json


def check(sentinel: Sentinel, purpose: str) -> Allowed | Denied:
    """Check whether the tool may be called. Every error raises: only a response can allow."""
    body: Json = {
        "tenant_slug": TENANT,
        "tool_name": TOOL,
        "action": ACTION,
        "purpose": purpose,
        "agent": AGENT,
        "arguments": ARGUMENTS,
        # A repeated request with the same call id gets the same decision and is counted once.
        "call_id": str(uuid.uuid4()),
    }
    answer = sentinel.post("agent", "/policy/check", body).expect(HTTPStatus.OK)
    decision_id = text_of(answer, "decision_id")
    if answer.get("allow") is True:
        return Allowed(decision_id, purpose, answer)
    return Denied(decision_id, text_of(answer, "code"), answer)


# The governed tool -----------------------------------------------------------------------------


@dataclass
class TimeTool:
    """The real MCP server. A call requires an `Allowed`."""

    client: Client
    calls: int = 0

    async def call(self, allowed: Allowed) -> Json:
        """Call the tool and return its result."""
        require(isinstance(allowed, Allowed), "the tool is called only with an allow")
        self.calls += 1
        result = await self.client.call_tool(ACTION, ARGUMENTS)
        require(not result.is_error, "the tool responds without an error")
        content = result.structured_content
        if not isinstance(content, dict):
            text = next((c.text for c in result.content if isinstance(c, TextContent)), "")
            return {"text": text}
        return content


@dataclass
class Demo:
    """The state of the demo: the server, the tool, and the decisions so far."""

    sentinel: Sentinel
    tool: TimeTool
    decisions: dict[str, bool] = field(default_factory=dict)

    def decide(self, purpose: str) -> Allowed | Denied:
        """Check a call, and keep the decision for the list at the end."""
        decision = check(self.sentinel, purpose)
        self.decisions[decision.decision_id] = isinstance(decision, Allowed)
        return decision

    def sign(self, allowed: Allowed, result: Json) -> Json:
        """Sign the outcome of a call, and check the salted hash in the manifest."""
        payload: Json = {"arguments": ARGUMENTS, "result": result}
        body: Json = {
            "tenant_slug": TENANT,
            "tool_name": TOOL,
            "action": ACTION,
            "purpose": allowed.purpose,
            "decision_id": allowed.decision_id,
            "payload": payload,
        }
        signed = self.sentinel.post("agent", "/provenance/sign", body).expect(HTTPStatus.CREATED)
        # The hash covers the bytes that were sent. `json.dumps` writes a part of the document as
        # it writes the whole.
        salted = bytes.fromhex(text_of(signed, "salt")) + json.dumps(payload).encode()
        commitment = f"sha256:{hashlib.sha256(salted).hexdigest()}"
        require(signed.get("payload_hash") == commitment, "the manifest commits to this payload")
        return signed

    def verify(self, allowed: Allowed, signed: Json) -> Json:
        """Verify a manifest, and require that it contains what was signed."""
        manifest_id = text_of(signed, "manifest_id")
        path = f"/provenance/verify/{urllib.parse.quote(manifest_id, safe='')}"
        answer = self.sentinel.get("agent", path).expect(HTTPStatus.OK)
        manifest = answer.get("manifest")
        if not isinstance(manifest, dict):
            raise DemoError("the answer has no manifest")
        said = [manifest.get(name) for name in ("id", "decision_id", "payload_hash")]
        meant = [manifest_id, allowed.decision_id, signed.get("payload_hash")]
        require(said == meant, f"manifest `{manifest_id}` says what was signed")
        require(answer.get("verified") is True, f"manifest `{manifest_id}` verifies")
        return answer

    def usage(self) -> tuple[int, int | None]:
        """Read the count of allows in the current window, and the limit if it is known."""
        query = {"tenant": TENANT}
        answer = self.sentinel.get("auditor", "/v1/quotas", query).expect(HTTPStatus.OK)
        for counter in objects_of(answer, "items"):
            if counter.get("tool") == TOOL:
                used, limit = counter.get("usage"), counter.get("limit")
                if isinstance(used, int) and isinstance(limit, int):
                    return used, limit
                raise DemoError(f"the quota has no numbers: {printable(counter)}")
        return 0, None


# The steps -------------------------------------------------------------------------------------


async def register(demo: Demo) -> None:
    """List what the server offers and register it."""
    request_line(f"{TOOL}: tools/list (over stdio)")
    tools = (await demo.tool.client.list_tools()).tools
    answer_lines({tool.name: (tool.description or "").strip() for tool in tools})
    require(any(tool.name == ACTION for tool in tools), f"the server offers `{ACTION}`")

    request_line(f"POST /register  {TENANT}/{TOOL}")
    server = demo.tool.client.server_info
    body: Json = {
        "tenant_slug": TENANT,
        "name": TOOL,
        "url": f"stdio:{TOOL}",
        "owner": "demo team",
        "scopes": [tool.name for tool in tools],
        "metadata": {"transport": "stdio", "version": server.version if server else "unknown"},
    }
    answer = demo.sentinel.post("admin", "/register", body)
    if answer.status == HTTPStatus.CONFLICT:
        answer_lines({"409": answer.body.get("detail", "")})
        as_expected("known already from an earlier run")
        return
    created = answer.expect(HTTPStatus.CREATED)
    answer_lines({name: created.get(name) for name in ("id", "name", "url", "owner", "scopes")})
    as_expected("registered")


def ask(demo: Demo, purpose: str) -> Allowed | Denied:
    """Check a call, and show request and response."""
    request_line(f"POST /policy/check  {TENANT}/{TOOL}  action={ACTION} purpose={purpose}")
    decision = demo.decide(purpose)
    names = ("allow", "code", "reason", "quota_remaining", "decision_id", "policy_revision")
    shown = {name: decision.answer.get(name) for name in names}
    answer_lines({name: value for name, value in shown.items() if value is not None})
    return decision


def expect_code(decision: Allowed | Denied, code: str) -> Denied:
    """Require a deny with this code."""
    if isinstance(decision, Allowed):
        raise DemoError(f"expected a deny with code `{code}`, got an allow")
    require(decision.code == code, f"the code is `{code}`, not `{decision.code}`")
    return decision


async def call_and_sign(demo: Demo, allowed: Allowed) -> None:
    """Call the tool, sign the outcome, verify the manifest, and show each."""
    arguments = " ".join(f"{name}={value}" for name, value in ARGUMENTS.items())
    request_line(f"{TOOL}: tools/call {ACTION} {arguments} (over stdio)")
    result = await demo.tool.call(allowed)
    answer_lines(result)

    request_line(f"POST /provenance/sign  decision_id={allowed.decision_id}")
    signed = demo.sign(allowed, result)
    answer_lines({name: signed.get(name) for name in ("manifest_id", "signature", "payload_hash")})

    request_line(f"GET /provenance/verify/{text_of(signed, 'manifest_id')}")
    verified = demo.verify(allowed, signed)
    answer_lines(
        {"verified": verified.get("verified")}
        | {
            text_of(made, "name"): f"{text_of(made, 'outcome')}: {made.get('detail')}"
            for made in objects_of(verified, "checks")
        }
    )


async def right_purpose(demo: Demo) -> None:
    """Step 1: an allowed call, or the deny of a quota that an earlier run used up."""
    used, limit = demo.usage()
    if limit is not None and used >= limit:
        say(f"   {limit} of today's {limit} calls are used already, by earlier runs.")
        expect_code(ask(demo, RIGHT_PURPOSE), "quota_exceeded")
        as_expected("denied, and the tool was not called: the count outlives this program")
        say("     Start afresh: stop Sentinel, move .sentinel elsewhere, make run, make demo.")
        return
    decision = ask(demo, RIGHT_PURPOSE)
    if isinstance(decision, Denied):
        raise DemoError(f"expected an allow, got a deny (`{decision.code}`)")
    await call_and_sign(demo, decision)
    as_expected("allowed, called, signed and verified; the hash was computed here as well")


def wrong_purpose(demo: Demo) -> None:
    """Step 2: policy denies, with a reason."""
    expect_code(ask(demo, WRONG_PURPOSE), "policy_denied")
    as_expected("denied, and the tool was not called")


async def until_quota(demo: Demo) -> None:
    """Step 3: calls until policy's quota stops them."""
    request_line(f"POST /policy/check, again and again  purpose={RIGHT_PURPOSE}")
    for _ in range(MOST_CALLS):
        decision = demo.decide(RIGHT_PURPOSE)
        if isinstance(decision, Denied):
            break
        result = await demo.tool.call(decision)
        demo.verify(decision, demo.sign(decision, result))
        remaining = printable(decision.answer.get("quota_remaining"))
        allow = styled(GREEN, "allow")
        say(f"     {allow}  {remaining} left  called at {printable(result.get('datetime', ''))}")
    else:
        raise DemoError(f"expected a deny after at most {MOST_CALLS} calls")
    say(f"     {styled(RED, 'deny')}   {printable(decision.answer.get('reason'))}")
    require(decision.code == "quota_exceeded", f"the quota denies, not `{decision.code}`")

    request_line(f"GET /v1/quotas  {TENANT}")
    used, limit = demo.usage()
    answer_lines({"usage": used, "limit": limit})
    require(used == limit, "exactly as many calls were allowed as the limit says")
    as_expected("exactly the limit was allowed, and the call after it denied")


def kill(demo: Demo) -> None:
    """Step 4: the kill switch comes before policy and quota."""
    target: Json = {"tenant_slug": TENANT, "tool_name": TOOL}
    request_line(f"POST /kill  {TENANT}/{TOOL}  reason={KILL_REASON}")
    killed = demo.sentinel.post("operator", "/kill", target | {"reason": KILL_REASON})
    answer_lines(killed.expect(HTTPStatus.OK))
    decision = expect_code(ask(demo, RIGHT_PURPOSE), "killed")
    reason = text_of(decision.answer, "reason")
    require(KILL_REASON in reason, "the deny states the reason of the kill")
    as_expected("denied with the reason, and the tool was not called")


async def restore(demo: Demo) -> None:
    """Step 5: after the restore, policy and quota decide again."""
    target: Json = {"tenant_slug": TENANT, "tool_name": TOOL}
    request_line(f"POST /kill/restore  {TENANT}/{TOOL}")
    answer_lines(demo.sentinel.post("operator", "/kill/restore", target).expect(HTTPStatus.OK))
    decision = ask(demo, RIGHT_PURPOSE)
    if isinstance(decision, Allowed):  # a new day began since step 3
        await call_and_sign(demo, decision)
        as_expected("allowed again")
        return
    expect_code(decision, "quota_exceeded")
    as_expected("no longer killed: what denies now is the quota, as it did before the kill")


def list_decisions(demo: Demo) -> None:
    """List the recorded decisions, and require that none is missing."""
    request_line(f"GET /v1/decisions  {TENANT}/{TOOL}")
    query = {"tenant": TENANT, "tool": TOOL, "limit": str(2 * MOST_CALLS)}
    answer = demo.sentinel.get("auditor", "/v1/decisions", query).expect(HTTPStatus.OK)
    recorded = {text_of(item, "id"): item for item in objects_of(answer, "items")}
    for decision_id, allowed in demo.decisions.items():
        item = recorded.get(decision_id)
        if item is None:
            raise DemoError(f"decision `{decision_id}` was answered but is not recorded")
        as_answered = item.get("decision") == ("allow" if allowed else "deny")
        require(as_answered, f"decision `{decision_id}` is recorded as answered")
        time, purpose, code = (printable(item.get(n)) for n in ("created_at", "purpose", "code"))
        shown = styled(GREEN, "allow") if allowed else styled(RED, "deny ")
        say(f"     {time[:19]}  {shown}  {code:14}  {purpose:10}  {decision_id}")
    allows = sum(demo.decisions.values())
    require(demo.tool.calls == allows, "the tool was called once for each allow")
    as_expected(
        f"{len(demo.decisions)} decisions, all recorded; {allows} allowed, "
        f"{demo.tool.calls} calls reached the tool"
    )


async def run(sentinel: Sentinel) -> None:
    """Start the tool and go through the steps."""
    say(f"{styled(BOLD, 'Sentinel')} at {sentinel.url} governs the real MCP server {TOOL}.")
    command = StdioServerParameters(
        command=sys.executable, args=["-m", "mcp_server_time", "--local-timezone", "UTC"]
    )
    async with Client(command, read_timeout_seconds=TOOL_TIMEOUT) as client:
        demo = Demo(sentinel, TimeTool(client))
        heading(0, "A tool", "It runs here, over stdio; Sentinel learns of it.")
        await register(demo)
        heading(1, "The right purpose", f"Policy lets {TENANT} use it for {RIGHT_PURPOSE}.")
        await right_purpose(demo)
        heading(2, "A wrong purpose", f"Policy does not know the purpose {WRONG_PURPOSE} for it.")
        wrong_purpose(demo)
        heading(3, "The quota", "Policy grants so many calls a day (UTC); Sentinel counts them.")
        await until_quota(demo)
        try:
            heading(4, "The kill switch", "An operator stops the tool for everyone, at once.")
            kill(demo)
        finally:
            heading(5, "The restore", "The operator lifts the kill; policy decides again.")
            await restore(demo)
        heading(6, "The record", "Each decision was on disk before it was answered.")
        list_decisions(demo)


def is_loopback(url: str) -> bool:
    """Return whether an address is on this machine."""
    host = urllib.parse.urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load_keys(url: str) -> dict[str, str]:
    """Read one key per role. Without any, requests carry none: `--no-auth` needs none."""
    if key := os.environ.get("SENTINEL_API_KEY"):
        return dict.fromkeys(("admin", "operator", "auditor", "agent"), key)
    if not is_loopback(url):
        return {}
    path = Path(os.environ.get("SENTINEL_DATA_DIR") or DATA_DIR) / "keys.json"
    try:
        parsed: object = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DemoError(f"cannot read keys from {path}: {error}") from error
    if not isinstance(parsed, dict):
        raise DemoError(f"{path} is not an object of roles and keys")
    return {role: key for role, key in parsed.items() if isinstance(key, str)}


def main() -> int:
    """Run the demo and give the exit status."""
    status = 0
    try:
        url = os.environ.get("SENTINEL_URL") or DEFAULT_URL
        sentinel = Sentinel(url, load_keys(url))
        asyncio.run(run(sentinel))
    # A group, because the tool's transport wraps exceptions that are raised while it is open.
    except* (DemoError, MCPError, OSError) as group:
        for error in leaves(group):
            print(f"   {styled(RED, '✗')} {printable(str(error))}", file=sys.stderr)
        status = 1
    else:
        say(f"\n{styled(GREEN, 'Everything was as expected.')}")
    return status


if __name__ == "__main__":
    sys.exit(main())
