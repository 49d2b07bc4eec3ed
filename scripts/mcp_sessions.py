"""How each client of mcp_clients.py is run: the Inspector, the SDKs, and agents of frameworks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance import ROOT, node
from mcp_servers import MODULES, Call, Json

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 120.0  # seconds, for one client
TOOL_FAILED = 5
PROGRAMS = ["inspector-legacy", "inspector-auto", "py-auto", "py-legacy", "ts-auto", "ts-legacy"]
FRAMEWORKS = ROOT / "mcp/frameworks"
# The frameworks differ in the major version of the Python SDK that they need.
SDK1 = str(ROOT.parent / ".venv-mcp/sdk1/bin/python")
SDK2 = str(ROOT.parent / ".venv-mcp/sdk2/bin/python")
# The program of each agent is mcp/frameworks/with_AGENT.py, or .mjs.
AGENTS = {
    "agent_framework": SDK2,
    "autogen": SDK1,
    "claude_code": sys.executable,
    "google_adk": SDK2,
    "langchain": SDK1,
    "openai_agents": SDK2,
    "pydantic_ai": SDK2,
    "smolagents": SDK1,
    "strands": SDK1,
    "vercel_ai": node(),
}


@dataclass(frozen=True)
class Target:
    """An MCP server as a client is told of it: by its URL, or as a command."""

    name: str
    url: str = ""
    headers: dict[str, str] | None = None
    command: tuple[str, ...] = ()
    env: dict[str, str] | None = None
    # What the names of its tools begin with.
    qualified: bool = False

    def named(self, call: Call) -> str:
        """Return the name of a tool as this server lists it."""
        return call.registered if self.qualified else call.tool


@dataclass(frozen=True)
class Result:
    """What a client makes of one call."""

    text: str
    is_error: bool | None = None
    meta: Json | None = None


@dataclass(frozen=True)
class Seen:
    """What a client has seen: the names of the tools, and the results."""

    tools: list[str]
    results: list[Result]
    faults: list[str]


class Machine:
    """Runs clients in a folder, with a home directory that is empty at first."""

    def __init__(self, folder: Path, home: Path) -> None:
        """Remember where."""
        self.folder = folder
        # Nothing of the caller's: no key of a real model, and no setting of a client.
        self.env = {"PATH": os.environ["PATH"], "HOME": str(home), "DO_NOT_TRACK": "1"}

    def run(self, command: list[str], env: dict[str, str] | None = None) -> str:
        """Run a client and return what it prints."""
        done = subprocess.run(  # noqa: S603 - pinned clients
            command,
            capture_output=True,
            text=True,
            env={**self.env, **(env or {})},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=False,
        )
        # The Inspector's status when the result of a tool says that it failed.
        if not done.stdout or done.returncode not in (0, TOOL_FAILED):
            raise RuntimeError(f"status {done.returncode}\n{done.stderr[-3000:]}")
        return done.stdout

    def program(self, client: str, target: Target, calls: list[Call]) -> Seen:
        """Have a program list the tools of a server and make the calls."""
        kind, mode = client.split("-")
        if kind == "inspector":
            return self.inspect(mode, target, calls)
        runner = [sys.executable, str(ROOT / "mcp/session.py")]
        if kind == "ts":
            runner = [node(), str(ROOT / "mcp/session.mjs")]
        where = target.url or json.dumps(target.command)
        wanted = [{"name": target.named(call), "arguments": call.arguments} for call in calls]
        env = {**(target.env or {})}
        if target.headers:
            env["MCP_HEADERS"] = json.dumps(target.headers)
        seen = json.loads(self.run([*runner, mode, where, json.dumps(wanted)], env))
        return Seen(seen["tools"], [result_of(result) for result in seen["results"]], [])

    def inspect(self, mode: str, target: Target, calls: list[Call]) -> Seen:
        """Do the same with the Inspector, which makes one call each time it runs."""
        launcher = MODULES / "inspector/clients/launcher/build/index.js"
        base = [node(), str(launcher), "--cli", "--protocol-era", mode]
        if target.url:
            base += [target.url, "--transport", "http"]
        for name, value in (target.headers or {}).items():
            base += ["--header", f"{name}: {value}"]
        for name, value in (target.env or {}).items():
            base += ["-e", f"{name}={value}"]

        def invoke(*options: str) -> Json:
            command = ["--", *target.command] if target.command else []
            text = self.run([*base, *options, *command])
            result: Json = json.loads(text[text.index("{") :])
            return result

        tools = [tool["name"] for tool in invoke("--method", "tools/list")["tools"]]
        results = []
        for call in calls:
            options = ["--method", "tools/call", "--tool-name", target.named(call)]
            for key, value in call.arguments.items():
                options += ["--tool-arg", f"{key}={json.dumps(value)}"]
            result = invoke(*options)
            text = "".join(block.get("text", "") for block in result["content"])
            is_error, meta = result.get("isError", False), result.get("_meta", {})
            results.append(Result(text, is_error, meta))
        return Seen(tools, results, [])

    def agent(self, name: str, targets: list[Target], calls: list[Call]) -> Seen:
        """Have an agent make the calls, each in a turn of its model."""
        of = {target.name: target for target in targets}
        # A target with qualified names stands for all servers.
        everywhere = targets[0] if targets[0].qualified else None
        wanted = []
        for call in calls:
            target = everywhere or of[call.server]
            tool = target.named(call)
            wanted.append({"server": target.name, "name": tool, "arguments": call.arguments})
        plan = json.dumps({"servers": [described(target) for target in targets], "calls": wanted})
        kind = "mjs" if AGENTS[name] == node() else "py"
        program = FRAMEWORKS / f"with_{name}.{kind}"
        text = self.run([AGENTS[name], str(program), plan])
        seen = json.loads(text.strip().splitlines()[-1])
        return Seen(seen["tools"], [Result(text) for text in seen["read"]], seen["faults"])


def described(target: Target) -> Json:
    """Return a target as mcp/frameworks/plan.py reads it."""
    if target.url:
        return {"name": target.name, "url": target.url, "headers": target.headers or {}}
    return {"name": target.name, "command": target.command, "env": target.env or {}}


def result_of(result: Json) -> Result:
    """Return the result of a call that an SDK has made."""
    if "raised" in result:
        return Result(f"raised {result['raised']}")
    return Result(result["text"], result["isError"], result["meta"])
