"""A stand-in for the Messages API: the scripted model of plan.py behind the real protocol.

It speaks what a client of the API sends and expects (JSON in, one message or a stream of
server-sent events out). A request that shows no MCP tool, as for a title, is not a turn. Claude
Code names the tools of MCP servers, and the model loads those that it wants to call.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, TypeAlias

from plan import FINAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plan import Call, Plan

Json: TypeAlias = dict[str, Any]

# The tool by which Claude Code loads tools, and what the identifiers of other calls begin with.
SEARCH = "ToolSearch"
PREFIX = "toolu_for_"
# `mcp`, the server and the tool.
PARTS = 3
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
        self.searched = False

    def message(self, request: Json) -> Json:
        """Return the message that answers a request."""
        shown = self.shown(request)
        with self.asking:
            if not shown:
                return message(request, {"type": "text", "text": "title"}, "end_turn")
            if request["messages"] == self.asked:
                self.plan.record.faults.append("the same request to the model was sent twice")
                return self.answer
            self.asked = request["messages"]
            use = self.search(request) or self.call(request, shown)
            self.answer = message(request, *use)
            return self.answer

    def shown(self, request: Json) -> list[str]:
        """Return the names of the tools of MCP servers that the model is shown, loaded or not."""
        text = json.dumps(request)
        servers = {server.name for server in self.plan.servers}
        found = {tuple(name.split("__", 2)) for name in re.findall(r"mcp__\w[\w-]*", text)}
        return [name[2] for name in found if len(name) == PARTS and name[1] in servers]

    def search(self, request: Json) -> tuple[Json, str] | None:
        """Load the tools of the plan if they are not, as a model has to before it calls one."""
        loaded = {tool["name"] for tool in request["tools"]}
        wanted = sorted({qualified(call) for call in self.plan.calls} - loaded)
        if not wanted or self.searched or SEARCH not in loaded:
            return None
        self.searched = True
        query = {"query": f"select:{','.join(wanted)}", "max_results": len(wanted)}
        return {
            "type": "tool_use",
            "id": "toolu_search",
            "name": SEARCH,
            "input": query,
        }, "tool_use"

    def call(self, request: Json, shown: list[str]) -> tuple[Json, str]:
        """Return the content of a turn of the plan, and why it ends."""
        call = self.plan.turn(shown, results(request["messages"]))
        if call is None:
            return {"type": "text", "text": FINAL}, "end_turn"
        use = {"type": "tool_use", "id": f"{PREFIX}{call.id}", "name": qualified(call)}
        return {**use, "input": call.arguments}, "tool_use"


def qualified(call: Call) -> str:
    """Return the name by which Claude Code knows a tool."""
    return f"mcp__{call.server}__{call.name}"


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
    found = [block for block in blocks if block["type"] == "tool_result"]
    return [text(b["content"]) for b in found if b["tool_use_id"].startswith(PREFIX)]


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
