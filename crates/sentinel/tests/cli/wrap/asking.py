"""A server of the modern era that asks its client before it answers: one message a line."""

import json
import os
import sys

VERSION = "2026-07-28"
marks = os.environ["MARKS"]


def call(params):
    responses = params.get("inputResponses")
    if responses is None:
        question = {
            "method": "elicitation/create",
            "params": {
                "mode": "form",
                "message": "really?",
                "requestedSchema": {"type": "object", "properties": {"sure": {"type": "boolean"}}},
            },
        }
        return {"resultType": "input_required", "inputRequests": {"q": question}, "requestState": "s"}
    if params.get("requestState") != "s":
        return {"isError": True, "content": [{"type": "text", "text": "another state"}]}
    with open(os.path.join(marks, "answers"), "a") as file:
        file.write(json.dumps(responses["q"]) + "\n")
    return {"resultType": "complete", "content": [{"type": "text", "text": "ask done"}]}


def serve(method, params):
    if method == "server/discover":
        return {
            "resultType": "complete",
            "supportedVersions": [VERSION],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "asking", "version": "1"},
        }
    if method == "tools/list":
        tool = {"name": "ask", "inputSchema": {"type": "object"}}
        return {"resultType": "complete", "tools": [tool]}
    if method == "tools/call":
        return call(params)
    return None


for line in sys.stdin:
    message = json.loads(line)
    if "method" not in message or "id" not in message:
        continue
    result = serve(message["method"], message.get("params", {}))
    reply = {"jsonrpc": "2.0", "id": message["id"]}
    if result is None:
        reply["error"] = {"code": -32601, "message": "no such method"}
    else:
        reply["result"] = result
    print(json.dumps(reply), flush=True)
