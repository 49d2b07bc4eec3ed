"""A small MCP server of the legacy era behind the gateway: one message a line, no dependencies."""

import json
import os
import sys
import threading
import time

lock = threading.Lock()
marks = os.environ["MARKS"]

TOOLS = [
    {"name": "look", "inputSchema": {"type": "object"}},
    {"name": "write", "inputSchema": {"type": "object"}},
    {"name": "large", "inputSchema": {"type": "object"}},
    {"name": "sleep", "inputSchema": {"type": "object"}},
    # It calls what it is told to.
    {"name": "call_tool", "inputSchema": {"type": "object"}},
    {"name": "untyped", "inputSchema": {"properties": {"path": {"type": "string"}}}},
    {"name": "broken", "inputSchema": {"type": "objekt"}},
]


def mark(name, text):
    with open(os.path.join(marks, name), "a") as file:
        file.write(text + "\n")


def send(message):
    with lock:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()


def call(params):
    name, arguments = params["name"], params.get("arguments", {})
    if name == "call_tool":
        name, arguments = arguments["tool"], arguments.get("arguments", {})
    mark("calls", name)
    if name == "sleep":
        mark("sleeping", str(os.getpid()))
        time.sleep(arguments["seconds"])
    text = "x" * 100_000 if name == "large" else f"{name} done"
    return {"content": [{"type": "text", "text": text}]}


def serve(request):
    method, params = request["method"], request.get("params", {})
    if method == "initialize":
        result = {
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "small", "version": "1"},
        }
    elif method == "tools/list":
        result = {"tools": TOOLS}
    elif method == "tools/call":
        result = call(params)
    elif method == "ping":
        result = {}
    else:
        send({"id": request["id"], "error": {"code": -32601, "message": "no such method"}})
        return
    send({"id": request["id"], "result": result})


for line in sys.stdin:
    message = json.loads(line)
    if "method" in message and "id" in message:
        threading.Thread(target=serve, args=(message,), daemon=True).start()
