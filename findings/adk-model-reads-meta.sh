#!/usr/bin/env bash
# Google ADK 2.13.0 shows the model the `_meta` of an MCP result.
#
# Seen 2026-11-29, with mcp 2.3.0. Nine other agent loops (agent-framework 1.23.0, autogen 0.7.5, Claude Code 2.1.332,
# langchain-mcp-adapters 0.3.2, openai-agents 0.24.0, pydantic-ai 2.68.0, smolagents 1.26.0, strands 1.62.0, Vercel's ai
# 7.0.173) give the model the content or the structured content only. ADK's McpTool dumps the whole result, so the model
# reads `_meta`, under the name `meta`, of errors and of successes.
#
#   content  [{"type":"text","text":"done"}]
#   meta     {"example.com/trace":"not for the model"}
#
# Why it hurts: a gateway puts there what is for programs: identifiers of decisions and of signed records, structured
# denials. With ADK all of it is in the context, is paid for on every turn, and may be repeated to a user. So `_meta` must
# hold nothing that the model may not know, and a denial has to read well beside its structured form.
#
# Installs it in a temporary folder and fails when the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check google-adk==2.13.0 mcp==2.3.0
cat >server.py <<'PYTHON'
import json
import sys

TOOL = {"name": "act", "inputSchema": {"type": "object"}}
META = {"example.com/trace": "not for the model"}
RESULTS = {
    "initialize": {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                   "serverInfo": {"name": "s", "version": "1"}},
    "tools/list": {"tools": [TOOL]},
    "tools/call": {"content": [{"type": "text", "text": "done"}], "_meta": META},
}
for line in sys.stdin:
    request = json.loads(line)
    if "id" not in request:
        continue
    answer = {"jsonrpc": "2.0", "id": request["id"]}
    if request["method"] in RESULTS:
        answer["result"] = RESULTS[request["method"]]
    else:
        answer["error"] = {"code": -32601, "message": "no such method"}
    print(json.dumps(answer), flush=True)
PYTHON
cat >agent.py <<'PYTHON'
import asyncio
import json
import sys

from google.adk.agents import LlmAgent
from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_response import LlmResponse
from google.adk.runners import InMemoryRunner
from google.adk.tools.mcp_tool import McpToolset, StdioConnectionParams
from google.genai import types
from mcp import StdioServerParameters


class Scripted(BaseLlm):
    async def generate_content_async(self, request, stream=False):
        parts = [part for content in request.contents for part in content.parts]
        read = [part.function_response.response for part in parts if part.function_response]
        for result in read:
            for name in ("content", "meta"):
                print(name, json.dumps(result.get(name), separators=(",", ":")))
        call = types.Part(function_call=types.FunctionCall(name="act", args={}))
        part = types.Part(text="end") if read else call
        yield LlmResponse(content=types.Content(role="model", parts=[part]))


async def main():
    server = StdioServerParameters(command=sys.executable, args=["server.py"])
    tools = McpToolset(connection_params=StdioConnectionParams(server_params=server, timeout=30))
    runner = InMemoryRunner(LlmAgent(name="a", model=Scripted(model="m"), tools=[tools]), app_name="a")
    session = await runner.session_service.create_session(app_name="a", user_id="u")
    message = types.Content(role="user", parts=[types.Part(text="act")])
    async for _ in runner.run_async(user_id="u", session_id=session.id, new_message=message):
        pass
    await runner.close()


asyncio.run(main())
PYTHON
seen=$(venv/bin/python agent.py)
echo "$seen"
[ "$seen" = 'content [{"type":"text","text":"done"}]
meta {"example.com/trace":"not for the model"}' ]
