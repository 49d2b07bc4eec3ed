#!/usr/bin/env python3
"""Test a running Sentinel with public clients that know nothing about it.

OPA's Python client, an AuthZEN client, gRPC with the published messages of Envoy, and Envoy itself
with the configuration of docs/ext-authz.md in front of a tool. Each must get the right responses,
and every response must be a recorded decision. Run by gateways.sh.

Reads from the environment:
  SENTINEL_URL        the address of Sentinel
  SENTINEL_EXT_AUTHZ  its address for gateways, `host:port`
  SENTINEL_DATA_DIR   of `sentinel dev`, for its keys

Exit status: 0 when everything was as expected, 1 when not.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import grpc  # type: ignore[import-untyped]
from decern import Client as AuthzenClient  # type: ignore[import-untyped]
from decern import DecernError
from envoy.service.auth.v3 import (  # type: ignore[import-untyped]
    external_auth_pb2,
    external_auth_pb2_grpc,
)
from opa_client.opa import OpaClient  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Iterator

Json: TypeAlias = dict[str, object]

ROOT = Path(__file__).resolve().parent.parent
TENANT = "platform-eng"
TOOL = "langsmith-docs-search"
PURPOSE = "documentation_lookup"
CALL = {"tenant": TENANT, "tool": TOOL, "action": "invoke", "purpose": PURPOSE}
PATIENCE = 20.0  # seconds


def require(condition: bool, expected: str) -> None:  # noqa: FBT001 - reads as a sentence
    """End with status 1 unless the condition holds."""
    if not condition:
        print(f"gateways: expected {expected}", file=sys.stderr)
        sys.exit(1)


def passed(text: str) -> None:
    """Report what was shown."""
    print(f"gateways: {text}", flush=True)


def request(
    url: str, method: str, path: str, headers: dict[str, str], body: object = None
) -> tuple[int, dict[str, str], str]:
    """Send one request, and return status, headers and text."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=PATIENCE)
    try:
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json", **headers}
        connection.request(method, path, content, headers)
        answer = connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, names, answer.read().decode()
    finally:
        connection.close()


def said(record: Json) -> bool:
    """Whether the recorded decision is an allow."""
    return record["decision"] == "allow"


class Sentinel:
    """Requests of the test itself."""

    def __init__(self) -> None:
        """Read the address of the server, and its keys."""
        self.url = os.environ["SENTINEL_URL"]
        self.gateway = os.environ["SENTINEL_EXT_AUTHZ"]
        keys = Path(os.environ["SENTINEL_DATA_DIR"]) / "keys.json"
        self.keys: dict[str, str] = json.loads(keys.read_text())

    def ask(self, method: str, path: str, body: object = None) -> Json:
        """Send a request as the administrator; anything but a success ends the test."""
        headers = {"Authorization": f"Bearer {self.keys['admin']}"}
        status, _, text = request(self.url, method, path, headers, body)
        require(status in {200, 201}, f"{method} {path} to succeed, got {status} {text}")
        answer = json.loads(text)
        require(isinstance(answer, dict), f"an object of {path}, got {text}")
        return dict(answer)

    def recorded(self, identifier: object) -> Json:
        """Look up the decision that a response names."""
        require(isinstance(identifier, str), f"the identifier of a decision, got {identifier!r}")
        return self.ask("GET", f"/v1/decisions/{identifier}")

    def decisions(self) -> int:
        """Count what has been decided; the tests stay below one page."""
        items = self.ask("GET", "/v1/decisions?limit=200")["items"]
        return len(items) if isinstance(items, list) else -1

    @contextmanager
    def killed(self) -> Iterator[None]:
        """Run the body while the tool is killed."""
        scope = {"tenant_slug": TENANT, "tool_name": TOOL}
        self.ask("POST", "/kill", {**scope, "reason": "the gateways' test"})
        yield
        self.ask("POST", "/kill/restore", scope)


# OPA -------------------------------------------------------------------------------------------


def opa(sentinel: Sentinel) -> None:
    """Test with OPA's Python client."""
    parts = urllib.parse.urlsplit(sentinel.url)
    headers = {"Authorization": f"Bearer {sentinel.keys['agent']}"}
    client = OpaClient(host=parts.hostname, port=parts.port, headers=headers)
    before = sentinel.decisions()
    require(client.check_health() is True, "OPA's client to find the server healthy")

    def decided(change: Json) -> Json:
        answer = client.query_rule({**CALL, **change}, "sentinel.policy", "decision")
        record = sentinel.recorded(answer["decision_id"])
        result = answer["result"]
        require(said(record) is result["allow"], f"the record to say the same as {answer}")
        require(record["code"] == result["code"], f"the record to say the same as {answer}")
        return dict(result)

    allow = decided({})
    require(allow["allow"] is True and allow["code"] == "allowed", f"an allow, got {allow}")
    deny = decided({"purpose": "marketing"})
    require(deny["allow"] is False and deny["code"] == "policy_denied", f"a deny, got {deny}")
    reasons = deny["reasons"]
    codes = [reason["code"] for reason in reasons] if isinstance(reasons, list) else []
    require(codes == ["purpose_not_allowed"], f"the policy's reason, got {deny}")
    unknown = decided({"tool": "nothing"})
    require(unknown["code"] == "unknown_tool", f"an unknown tool to be denied, got {unknown}")
    with sentinel.killed():
        require(decided({})["code"] == "killed", "a killed tool to be denied")
    answer = client.query_rule(CALL, "sentinel.policy", "allow")
    require(answer["result"] is True, f"`allow` to be true, got {answer}")
    answer = client.query_rule(CALL, "sentinel.policy", "nothing")
    require("result" not in answer, f"another rule to be undefined, got {answer}")
    require(sentinel.decisions() - before == 5, "each question of OPA's client to be recorded")  # noqa: PLR2004
    passed("OPA's client: allow, deny, reason, kill, undefined, all recorded")


# AuthZEN ---------------------------------------------------------------------------------------


def authzen(sentinel: Sentinel) -> None:
    """Test with an AuthZEN client."""
    client = AuthzenClient(sentinel.url, token=sentinel.keys["agent"])
    subject = {"type": "agent", "id": "docs-agent"}
    tool: Json = {"type": "tool", "id": f"{TENANT}/{TOOL}"}

    def decided(resource: Json, purpose: str) -> Json:
        decision = client.evaluate(subject, {"name": "invoke"}, resource, {"purpose": purpose})
        told = dict(decision.context or {})
        record = sentinel.recorded(told["id"])
        require(said(record) is decision.allowed, f"the record to say the same as {told}")
        require(record["agent"] == "docs-agent", f"the agent on record, got {record}")
        return {**told, "decision": decision.allowed}

    before = sentinel.decisions()
    allow = decided(tool, PURPOSE)
    require(allow["decision"] is True, f"an allow, got {allow}")
    deny = decided(tool, "marketing")
    require(deny["decision"] is False and deny["code"] == "policy_denied", f"a deny, got {deny}")
    unknown = decided({"type": "tool", "id": f"{TENANT}/nothing"}, PURPOSE)
    require(unknown["code"] == "unknown_tool", f"an unknown tool to be denied, got {unknown}")
    with sentinel.killed():
        require(decided(tool, PURPOSE)["code"] == "killed", "a killed tool to be denied")
    require(sentinel.decisions() - before == 4, "each evaluation to be recorded")  # noqa: PLR2004
    stranger = AuthzenClient(sentinel.url, token="snt_agent_unknown")  # noqa: S106
    try:
        stranger.evaluate(subject, {"name": "invoke"}, tool, {"purpose": PURPOSE})
    except DecernError:
        pass
    else:
        require(condition=False, expected="an unknown key to be refused")
    passed("AuthZEN client: allow, deny, kill, unknown tool and key, all recorded")


# gRPC ------------------------------------------------------------------------------------------


def message(**extensions: str) -> external_auth_pb2.CheckRequest:
    """Build the request of a gateway for `GET /docs/7`."""
    question = external_auth_pb2.CheckRequest()
    question.attributes.context_extensions.update(extensions)
    call = question.attributes.request.http
    call.method, call.path, call.host, call.scheme = "GET", "/docs/7", "tools.example.com", "https"
    return question


def by_grpc(sentinel: Sentinel) -> None:
    """Test with gRPC's Python library and Envoy's published messages."""
    ok, denied, exhausted, unauthenticated = 0, 7, 8, 16
    with grpc.insecure_channel(sentinel.gateway) as channel:
        stub = external_auth_pb2_grpc.AuthorizationStub(channel)

        def check(key: str, question: external_auth_pb2.CheckRequest) -> tuple[int, int, str]:
            metadata = (("authorization", f"Bearer {key}"),) if key else ()
            answer = stub.Check(question, metadata=metadata, timeout=PATIENCE)
            fields = answer.dynamic_metadata.fields
            if fields["decision_id"].string_value:
                record = sentinel.recorded(fields["decision_id"].string_value)
                allowed = answer.status.code == ok
                require(said(record) is allowed, f"the record to say the same as {answer}")
            status = answer.denied_response.status.code
            return answer.status.code, status, fields["code"].string_value

        key = sentinel.keys["agent"]
        for expected, asked, question in [
            ((ok, 0, "allowed"), key, message(**CALL)),
            ((denied, 403, "policy_denied"), key, message(**{**CALL, "purpose": "marketing"})),
            ((denied, 403, "unknown_tool"), key, message(**{**CALL, "tool": "nothing"})),
            ((denied, 403, "unmapped_call"), key, message(tenant=TENANT)),
            ((unauthenticated, 403, "invalid_key"), "snt_agent_unknown", message(**CALL)),
            ((unauthenticated, 403, "unauthenticated"), "", message(**CALL)),
            ((denied, 403, "role_forbidden"), sentinel.keys["operator"], message(**CALL)),
        ]:
            got = check(asked, question)
            require(got == expected, f"{expected}, got {got}")
        huge = message(**CALL)
        huge.attributes.request.http.body = "a" * 600_000
        got = check(key, huge)
        require(got == (exhausted, 413, "body_too_large"), f"a large call to be denied, got {got}")
        with sentinel.killed():
            got = check(key, message(**CALL))
            require(got == (denied, 403, "killed"), f"a killed tool to be denied, got {got}")
    passed("gRPC client: allow, deny, kill, keys, sizes, all recorded")


# Envoy -----------------------------------------------------------------------------------------


class Tool(BaseHTTPRequestHandler):
    """Return what it got."""

    def answer(self) -> None:
        """Echo the request's headers and body."""
        size = int(self.headers.get("content-length") or 0)
        got = {"headers": dict(self.headers), "body": self.rfile.read(size).decode()}
        text = json.dumps(got).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def free_port() -> int:
    """Find a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def envoy(sentinel: Sentinel, change: dict[str, str]) -> Iterator[str]:
    """Run Envoy with the configuration of the documentation in front of a tool."""
    tool = ThreadingHTTPServer(("127.0.0.1", 0), Tool)
    threading.Thread(target=tool.serve_forever, daemon=True).start()
    port = free_port()
    page = (ROOT / "docs" / "ext-authz.md").read_text()
    found = re.search(r"```yaml\n(static_resources:.*?)```", page, re.DOTALL)
    require(found is not None, "a configuration of Envoy in docs/ext-authz.md")
    config = found.group(1) if found else ""
    ports = {"8080": str(port), "9191": sentinel.gateway.split(":")[1]}
    ports["9000"] = str(tool.server_address[1])
    changes = {f"port_value: {old} ": f"port_value: {new} " for old, new in ports.items()} | change
    for old, new in changes.items():
        require(old in config, f"`{old}` in the configuration of Envoy")
        config = config.replace(old, new)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "envoy.yaml"
        file.write_text(config)
        log = Path(folder) / "envoy.log"
        environment = {**os.environ, "SENTINEL_API_KEY": sentinel.keys["agent"]}
        command = [f"{Path(sys.executable).parent}/envoy", "-c", str(file), "--concurrency", "1"]
        command += ["--use-dynamic-base-id", "--log-level", "warning"]
        with log.open("w") as output:
            process = subprocess.Popen(  # noqa: S603 - what this file says
                command, env=environment, stdout=output, stderr=output
            )
        try:
            began = time.monotonic()
            while True:
                alive = process.poll() is None and time.monotonic() - began < PATIENCE
                require(alive, f"Envoy to start, got {log.read_text()}")
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(PATIENCE)
            tool.shutdown()


def by_envoy(sentinel: Sentinel) -> None:
    """Send calls through Envoy, as an agent."""
    agent = {"x-sentinel-purpose": PURPOSE, "x-sentinel-agent": "docs-agent"}
    forged = {"x-sentinel-permit": "snp_forged", "x-sentinel-tool": "finance-ledger-writer"}
    with envoy(sentinel, {}) as gateway:
        body = {"query": "kill switch"}
        status, headers, text = request(gateway, "POST", "/docs/7?x=1", {**agent, **forged}, body)
        require(status == 200, f"the call to reach the tool, got {status} {text}")  # noqa: PLR2004
        record = sentinel.recorded(headers.get("x-sentinel-decision-id"))
        require(said(record) is True and record["agent"] == "docs-agent", f"it, got {record}")
        require(record["tool"] == TOOL, f"the operator's tool on record, got {record}")
        got = json.loads(text)
        shown = {name.lower(): value for name, value in got["headers"].items()}
        require(json.loads(got["body"]) == body, f"the body to reach the tool, got {got}")
        permit = shown["x-sentinel-permit"]
        require(permit.startswith("snp_") and permit != "snp_forged", f"a permit, got {shown}")
        identifier = record["tool_id"]
        redeemed = sentinel.ask(
            "POST",
            "/v1/permits/redeem",
            {"permit": permit, "tool_id": identifier, "arguments": body},
        )
        require(bool(redeemed), "the permit to be good for the tool and its arguments")

        def refused(path: str, change: dict[str, str], content: object, expected: str) -> None:
            status, headers, text = request(gateway, "POST", path, {**agent, **change}, content)
            problem = json.loads(text) if text.startswith("{") else {}
            told = f"{status} {problem.get('code')} {headers.get('content-type')}"
            require(
                told == f"{expected} application/problem+json", f"{expected}, got {told} {text}"
            )

        refused("/docs/7", {"x-sentinel-purpose": "marketing"}, body, "403 policy_denied")
        refused("/docs/7", {}, [1], "400 invalid_field")
        refused("/elsewhere", {}, body, "403 unmapped_call")
        with sentinel.killed():
            refused("/docs/7", {}, body, "403 killed")
        status, _, text = request(gateway, "POST", "/docs/7", agent, body)
        require(status == 200, f"the restored tool to be reached, got {status}")  # noqa: PLR2004
    # A client must not be able to make the gateway fail open.
    large = {"failure_mode_allow: false": "failure_mode_allow: true", "262144": "4194304"}
    with envoy(sentinel, large) as gateway:
        status, _, text = request(gateway, "POST", "/docs/7", agent, {"q": "a" * 1_000_000})
        told = json.loads(text).get("code") if status == 413 else status  # noqa: PLR2004
        require(told == "body_too_large", f"a body over the limit to be denied, got {told}")
    wrong = {**large, "%ENVIRONMENT(SENTINEL_API_KEY)%": "snt_agent_unknown"}
    with envoy(sentinel, wrong) as gateway:
        status, _, text = request(gateway, "POST", "/docs/7", agent, {})
        require(status == 403, f"an unknown key to be denied, got {status} {text[:200]}")  # noqa: PLR2004
    # Without this check, the two above would prove nothing.
    with envoy(sentinel, {**large, "port_value: 9191 ": "port_value: 1 "}) as gateway:
        status, _, text = request(gateway, "POST", "/docs/7", agent, {})
        require(status == 200, f"a call to pass when no Sentinel can be reached, got {status}")  # noqa: PLR2004
    passed("Envoy: forwarded with a permit, denied, killed, denied even where failures pass")


def main() -> None:
    """Run all tests."""
    sentinel = Sentinel()
    opa(sentinel)
    authzen(sentinel)
    by_grpc(sentinel)
    by_envoy(sentinel)


if __name__ == "__main__":
    main()
