"""A control plane on the loopback, which can be told to misbehave.

It is for tests of adapters, and decides nothing that matters: see `cases.json` for its rules.
"""

from __future__ import annotations

import json
import queue
import socket
import threading
import time
import uuid
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, Self

from sentinel_mcp.conformance.plane import Signed

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

_HELD: Final = 30.0
_DRIP: Final = 0.05
_HUGE: Final = 64 * 1024 * 1024


class FakePlane:
    """Decides by the names of tools, and answers `check` and `sign` as the case wants."""

    api_key = "snt_agent_conformance"
    principal = "conformance-key"
    tenant = "conformance"

    def __init__(
        self,
        check: Mapping[str, Any] | None = None,
        sign: Mapping[str, Any] | None = None,
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._tls = tls
        self.answers = {"/policy/check": check, "/provenance/sign": sign}
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.tool_ids: dict[str, str] = {}
        """The tools that the registry lists."""
        self.followed = 0
        """How often a redirect was followed to the server that allows everything."""
        self.last_event_ids: list[str | None] = []
        """From where the streams were resumed, one for each."""
        self._made: list[str] = []
        self._signed: list[Signed] = []
        self._kills: dict[str, dict[str, Any]] = {}
        self._metered = 0
        self._epoch = 1
        self._streams: list[queue.SimpleQueue[bytes | None]] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._stack = ExitStack()
        self._server: ThreadingHTTPServer | None = None
        self._elsewhere: ThreadingHTTPServer | None = None
        self.url = ""

    def __enter__(self) -> Self:
        self._server = self._serve(_handler(self))
        self._elsewhere = self._serve(_elsewhere(self))
        scheme = "http" if self._tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}"
        if self.fault("/policy/check") == "refuse":
            self._server.shutdown()
            self._server.server_close()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        with self._lock:
            for stream in self._streams:
                stream.put(None)
        self._stack.close()

    def fault(self, path: str) -> str | None:
        """Return the fault that is wanted at a path."""
        return (self.answers.get(path) or {}).get("fault")

    @property
    def allow_all(self) -> str:
        """Address of a server that allows everything: nobody may ask it."""
        port = self._elsewhere.server_port if self._elsewhere else 0
        return f"http://127.0.0.1:{port}/policy/check"

    def _serve(self, handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
        server = _Server(("127.0.0.1", 0), handler)
        if self._tls is not None:
            server.socket = self._tls.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        self._stack.callback(server.server_close)
        self._stack.callback(server.shutdown)
        return server

    def kill(self, target: Mapping[str, Any]) -> None:
        """Kill, and tell the streams."""
        named = [name for name in ("tool_name", "agent", "principal") if name in target]
        scope = named[0].removesuffix("_name") if named else "tenant"
        kill = {
            "kill_id": str(uuid.uuid4()),
            "scope": scope if scope in {"tool", "tenant"} else f"tenant_{scope}",
            "tenant": "conformance",
            "tool": target.get("tool_name"),
            "agent": target.get("agent"),
            "label": target.get("principal"),
            "reason": target["reason"],
        }
        with self._lock:
            self._epoch += 1
            self._kills[kill["kill_id"]] = kill
        self._tell("kill_switch.disabled", kill)

    def restore(self, target: Mapping[str, Any]) -> None:
        """End the kills of a target, and tell the streams."""
        with self._lock:
            self._epoch += 1
            ended = [
                kill
                for kill in self._kills.values()
                if kill["tool"] == target.get("tool_name") and kill["agent"] == target.get("agent")
            ]
            for kill in ended:
                del self._kills[kill["kill_id"]]
        for kill in ended:
            self._tell("kill_switch.restored", kill)

    def checks(self) -> int:
        """How many checks came in."""
        return sum(path == "/policy/check" for path, _ in self.requests)

    def decisions(self) -> list[str]:
        """Return the decisions that were made."""
        return list(self._made)

    def signed(self) -> list[Signed]:
        """Return the outcomes that were signed."""
        return list(self._signed)

    def hold(self) -> None:
        """Wait until the plane ends, or for long."""
        self._stopping.wait(_HELD)

    def is_stopping(self) -> bool:
        """Whether the plane ends."""
        return self._stopping.is_set()

    def streams(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    def break_streams(self) -> None:
        """Close every stream."""
        with self._lock:
            for stream in self._streams:
                stream.put(None)

    def decide(self, check: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return status and body of the answer to a check."""
        tool, made = check["tool_name"], str(uuid.uuid4())
        self._made.append(made)
        kill = self._covering(tool, check.get("agent"))
        if tool == "unregistered":
            detail = "tool not found"
            return 404, {**_problem(404, "unknown_tool", detail), "decision_id": made}
        if kill is not None:
            return 200, _deny(made, "killed", f"killed ({kill['scope']}): {kill['reason']}")
        if tool == "forbidden":
            return 200, _deny(made, "policy_denied", "writes need an approval")
        with self._lock:
            self._metered += tool == "metered"
            if tool == "metered" and self._metered > 1:
                return 200, _deny(made, "quota_exceeded", "quota of 1 per 1d is used up")
        return 200, _allow(made)

    def sign(self, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return status and body of the answer to a request to sign."""
        signed = Signed(request["tool_name"], request["payload"], request.get("decision_id"))
        self._signed.append(signed)
        return 201, {"manifest_id": str(uuid.uuid4())}

    def resume(self, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return status and body of the answer to whether a call may go on."""
        if self._kills:
            return 409, _problem(409, "killed", "a kill covers the call")
        return 200, {"resumed": True, "decision_id": request["decision_id"]}

    def subscribe(self) -> queue.SimpleQueue[bytes | None]:
        """Return the events from now on; the first is `sync`."""
        stream: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        with self._lock:
            kills = [{**kill, "in_force": True} for kill in self._kills.values()]
            sync = {"event": "sync", "epoch": self._epoch, "gap": False, "kills": kills}
            stream.put(_event("sync", sync))
            self._streams.append(stream)
        return stream

    def unsubscribe(self, stream: queue.SimpleQueue[bytes | None]) -> None:
        """Forget a stream."""
        with self._lock:
            self._streams.remove(stream)

    def _covering(self, tool: str, agent: str | None) -> dict[str, Any] | None:
        named = (agent or "").lower()
        for kill in self._kills.values():
            by_agent = (kill["agent"] or "").lower()
            if (kill["tool"] or tool) == tool and (by_agent or named) == named:
                return kill
        return None

    def _tell(self, name: str, kill: dict[str, Any]) -> None:
        event = {
            "event": name,
            "tenant": kill["tenant"],
            "tool": kill["tool"],
            "reason": kill["reason"],
            "timestamp": "2026-11-29T00:00:00Z",
            "metadata": {
                **{name: kill[name] for name in ("kill_id", "scope", "agent", "label")},
                "epoch": self._epoch,
            },
        }
        with self._lock:
            for stream in self._streams:
                stream.put(_event(name, event, f"run-{self._epoch}"))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients go away in the middle of faults."""


def _handler(plane: FakePlane) -> type[BaseHTTPRequestHandler]:  # noqa: C901 - one class
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            if self.path.startswith("/v1/tools?"):
                items = [{"name": name, "id": plane.tool_ids[name]} for name in plane.tool_ids]
                self._send(200, {"items": items, "next_cursor": None})
                return
            if not self.path.startswith("/v1/events"):
                self._send(404, _problem(404, "unknown_route", "no such route"))
                return
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("connection", "close")
            self.end_headers()
            plane.last_event_ids.append(self.headers.get("last-event-id"))
            stream = plane.subscribe()
            try:
                while (event := stream.get()) is not None:
                    self.wfile.write(event)
            finally:
                plane.unsubscribe(stream)
                self.close_connection = True

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            path = self.path
            plane.requests.append((path, body))
            wanted = plane.answers.get(path)
            if wanted is not None:
                self._misbehave(wanted)
            elif path == "/policy/check":
                self._send(*plane.decide(body))
            elif path == "/provenance/sign":
                self._send(*plane.sign(body))
            elif path == "/v1/permits/resume":
                self._send(*plane.resume(body))
            else:
                self._send(404, _problem(404, "unknown_route", "no such route"))

        def _send(self, status: int, document: dict[str, Any]) -> None:
            kind = "application/json" if status < 300 else "application/problem+json"  # noqa: PLR2004
            self._write(status, {"content-type": kind}, json.dumps(document).encode())

        def _write(
            self, status: int, headers: Mapping[str, str], body: bytes, more: int = 0
        ) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value.replace("{allow_all}", plane.allow_all))
            self.send_header("content-length", str(len(body) + more))
            self.end_headers()
            self.wfile.write(body)

        def _misbehave(self, wanted: Mapping[str, Any]) -> None:
            if "answer" in wanted:
                answer = wanted["answer"]
                self._write(answer["status"], answer["headers"], _body(answer))
                return
            self.close_connection = True
            match wanted["fault"]:
                case "close":
                    self.connection.shutdown(socket.SHUT_RDWR)
                case "hang":
                    plane.hold()
                case "half":
                    body = _body(wanted["of"])
                    self._write(200, wanted["of"]["headers"], body, more=1)
                case "raw":
                    self.wfile.write(wanted["bytes"].encode())
                case "drip":
                    self._drip()
                case "huge":
                    self._flood()
                case fault:
                    raise ValueError(f"unknown fault `{fault}`")

        def _drip(self) -> None:
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-slow: "
            started = time.monotonic()
            for byte in head + b"x" * 10_000:
                if time.monotonic() - started > _HELD or plane.is_stopping():
                    return
                self.wfile.write(bytes([byte]))
                time.sleep(_DRIP)

        def _flood(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(_HUGE))
            self.end_headers()
            for _ in range(_HUGE // 65536):
                self.wfile.write(b" " * 65536)

    return Handler


def _elsewhere(plane: FakePlane) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_POST(self) -> None:
            plane.followed += 1
            body = json.dumps(_allow(str(uuid.uuid4()))).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815 - as the base class calls it

    return Handler


def _body(answer: Mapping[str, Any]) -> bytes:
    text: str = answer["body"] + answer.get("repeat", "") * answer.get("times", 0)
    then: str = answer.get("then", "")
    return text.encode() + bytes.fromhex(answer.get("hex", "")) + then.encode()


def _event(name: str, data: dict[str, Any], identifier: str | None = None) -> bytes:
    head = f"id: {identifier}\n" if identifier else ""
    return f"{head}event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def _allow(made: str) -> dict[str, Any]:
    return {
        "allow": True,
        "code": "allowed",
        "reason": "allowed by policy",
        "decision_id": made,
        "reasons": [],
        "obligations": [],
    }


def _deny(made: str, code: str, reason: str) -> dict[str, Any]:
    return {**_allow(made), "allow": False, "code": code, "reason": reason}


def _problem(status: int, code: str, detail: str) -> dict[str, Any]:
    return {
        "type": f"https://sentinel-mcp.dev/problems/{code}",
        "title": code,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": "r",
        "allow": False,
    }
