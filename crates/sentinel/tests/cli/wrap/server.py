"""A small MCP server of the legacy era, for tests: one message a line, no dependencies."""

import json
import os
import signal
import sys
import threading
import time

# It ignores a request to end, as some servers do.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
lock = threading.Lock()
home = os.environ["MARKS"]

TOOLS = [
    {"name": "look", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}},
    {"name": "write", "inputSchema": {"type": "object"}},
    {"name": "sleep", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}},
    {"name": "environment", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}},
]


def mark(name, text=""):
    with open(os.path.join(home, name), "a") as file:
        file.write(text + "\n")


def send(message):
    with lock:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()


def call(params):
    name, arguments = params["name"], params.get("arguments", {})
    mark("calls", name)
    if name == "write":
        mark("written", arguments.get("text", ""))
    if name == "sleep":
        time.sleep(arguments["seconds"])
        mark("slept")
    text = " ".join(sorted(os.environ)) if name == "environment" else f"{name} done"
    return {"content": [{"type": "text", "text": text}]}


def serve(request):
    method, params = request["method"], request.get("params", {})
    if method == "initialize":
        result = {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "small", "version": "1"},
        }
    elif method == "tools/list":
        time.sleep(float(os.environ.get("SLOW", 0)))
        result = {"tools": TOOLS}
    elif method == "tools/call":
        result = call(params)
    elif method == "ping":
        result = {}
    else:
        send({"id": request["id"], "error": {"code": -32601, "message": "no such method"}})
        return
    send({"id": request["id"], "result": result})


mark("started", str(os.getpid()))
print("a line that is no message", flush=True)
for line in sys.stdin:
    message = json.loads(line)
    if "method" in message and "id" in message:
        threading.Thread(target=serve, args=(message,), daemon=True).start()
mark("ended")
