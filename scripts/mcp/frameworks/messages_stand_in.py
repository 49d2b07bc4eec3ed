"""A stand-in for the Messages API: the scripted model of plan.py behind the real protocol.

It speaks what a client of the API sends and expects (JSON in, one message or a stream of
server-sent events out). A request that offers no MCP tool, as for a title, is not a turn.
"""

from __future__ import annotations

import json
import threading
import uuid
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, TypeAlias

from plan import FINAL, Call

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plan import Plan

Json: TypeAlias = dict[str, Any]

USAGE = {"input_tokens": 1, "output_tokens": 1}


class Model:
    """The scripted model, asked by requests of the API."""

    def __init__(self, plan: Plan) -> None:
        """Follow the plan."""
        self.plan = plan
        self.asking = threading.Lock()
        # The request that was answered last, and its answer: the same request again is not a turn.
        self.asked: list[Json] = []
        self.answer: Json = {}

    def message(self, request: Json) -> Json:
        """Return the message that answers a request."""
        offered = [tool["name"] for tool in request.get("tools", [])]
        offered = [name for name in offered if name.startswith("mcp__")]
        with self.asking:
            if not offered:
                return message(request, {"type": "text", "text": "title"}, "end_turn")
            if request["messages"] == self.asked:
                self.plan.record.faults.append("the same request to the model was sent twice")
                return self.answer
            self.asked = request["messages"]
            names = [name.split("__", 2)[2] for name in offered]
            call = self.plan.turn(names, results(request["messages"]))
            self.answer = message(request, *self.content(call))
            return self.answer

    def content(self, call: Call | None) -> tuple[Json, str]:
        """Return the content of a turn, and why it ends."""
        if call is None:
            return {"type": "text", "text": FINAL}, "end_turn"
        name = f"mcp__{call.server}__{call.name}"
        identifier = f"toolu_{call.id}"
        use = {"type": "tool_use", "id": identifier, "name": name, "input": call.arguments}
        return use, "tool_use"


def message(request: Json, block: Json, reason: str) -> Json:
    """Return a message of the API."""
    return {
        "id": f"msg_{uuid.uuid4().hex}",
        "type": "message",
        "role": "assistant",
        "model": request["model"],
        "content": [block],
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": USAGE,
    }


def results(messages: list[Json]) -> list[str]:
    """Return what the model reads of the results of tools."""
    contents = [m["content"] for m in messages if isinstance(m["content"], list)]
    blocks = [block for content in contents for block in content]
    return [text(block["content"]) for block in blocks if block["type"] == "tool_result"]


def text(content: Any) -> str:
    """Return the text of a result."""
    if isinstance(content, str):
        return content
    return "".join(block.get("text", "") for block in content)


def events(message: Json) -> Iterator[tuple[str, Json]]:
    """Return the events by which a message is streamed."""
    (block,) = message["content"]
    yield "message_start", {"message": {**message, "content": [], "stop_reason": None}}
    if block["type"] == "text":
        start: Json = {"type": "text", "text": ""}
        delta: Json = {"type": "text_delta", "text": block["text"]}
    else:
        start = {**block, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    yield "content_block_start", {"index": 0, "content_block": start}
    yield "content_block_delta", {"index": 0, "delta": delta}
    yield "content_block_stop", {"index": 0}
    end = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield "message_delta", {"delta": end, "usage": USAGE}
    yield "message_stop", {}


class Handler(BaseHTTPRequestHandler):
    """The API."""

    model: Model

    def do_POST(self) -> None:
        """Answer a request."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = self.path.partition("?")[0]
        if path == "/v1/messages/count_tokens":
            self.send("application/json", json.dumps({"input_tokens": 1}))
        elif path != "/v1/messages":
            self.send_error(404)
        elif body.get("stream"):
            answer = self.model.message(body)
            lines = [
                f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n"
                for kind, data in events(answer)
            ]
            self.send("text/event-stream", "".join(lines))
        else:
            self.send("application/json", json.dumps(self.model.message(body)))

    def do_HEAD(self) -> None:
        """Say that the API is there."""
        self.send("application/json", "")

    def send(self, kind: str, text: str) -> None:
        """Send an answer."""
        content = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(plan: Plan) -> Iterator[str]:
    """Serve the API on the loopback, and yield its URL."""
    handler = type("PlanHandler", (Handler,), {"model": Model(plan)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
