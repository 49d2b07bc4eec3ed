"""Claude Code's command line, with a stand-in for its model: see plan.py and messages_stand_in.py.

It has a home directory of its own and reaches nothing but the loopback: other addresses go to a
proxy that does not exist.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from messages_stand_in import serving
from plan import TASK, Plan, Server, given

PATIENCE = 120.0
MODULES = Path(__file__).resolve().parent.parent / "node_modules"
NOWHERE = "http://127.0.0.1:9"


def configuration(server: Server) -> dict[str, Any]:
    """Return how Claude Code reaches a server."""
    if server.url:
        return {"type": "http", "url": server.url, "headers": server.headers}
    command, *arguments = server.command
    return {"type": "stdio", "command": command, "args": arguments, "env": server.env}


def program() -> str:
    """Return the program for this machine; the package's launcher would need another Node."""
    for machine in ("linux-x64", "linux-arm64"):
        binary = MODULES / f"@anthropic-ai/claude-code-{machine}/claude"
        if binary.is_file():
            return str(binary)
    raise RuntimeError("claude-code is not installed; run scripts/install.sh mcp")


def environment(home: Path, model: str) -> dict[str, str]:
    """Return all that Claude Code sees of the environment."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "ANTHROPIC_BASE_URL": model,
        "ANTHROPIC_API_KEY": "stand-in",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "HTTP_PROXY": NOWHERE,
        "HTTPS_PROXY": NOWHERE,
        "NO_PROXY": "127.0.0.1,localhost",
    }


def run(plan: Plan, home: Path) -> str:
    """Run Claude Code and return its answer."""
    servers = {server.name: configuration(server) for server in plan.servers}
    config = home / "mcp.json"
    config.write_text(json.dumps({"mcpServers": servers}))
    command = [program(), "--print", "--output-format", "json", "--model", "sonnet"]
    command += ["--strict-mcp-config", "--mcp-config", str(config)]
    command += ["--allowedTools", ",".join(f"mcp__{name}__*" for name in servers)]
    with serving(plan) as model:
        done = subprocess.run(  # noqa: S603 - the pinned client
            [*command, "--", TASK],
            capture_output=True,
            text=True,
            env=environment(home, model),
            stdin=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=False,
        )
    if done.returncode != 0:
        print(done.stdout + done.stderr, file=sys.stderr)
        plan.record.faults.append(f"status {done.returncode}")
        return ""
    return str(json.loads(done.stdout)["result"])


def main() -> None:
    """Run the agent."""
    plan = given()
    with tempfile.TemporaryDirectory() as home:
        final = run(plan, Path(home))
    plan.report(final)


main()
