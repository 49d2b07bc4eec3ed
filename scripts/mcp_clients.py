#!/usr/bin/env python3
"""Test the MCP gateway with unmodified clients and servers.

The Inspector's command line and the Python and TypeScript SDKs, in both eras, against
server-everything, server-filesystem, mcp-server-time and mcp-server-git: once through the HTTP
gateway with all four behind one endpoint, once through `sentinel mcp wrap` in front of each. Lists
are filtered, a call is allowed, two are denied with the reason, the session goes on afterwards, and
every call is recorded once and signed.

Usage: mcp_clients.py SENTINEL [--only http|wrap]

Exit status: 0 when everything was as expected, 1 when not.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from conformance import ROOT, node, ready, running

Json: TypeAlias = dict[str, Any]

TENANT = "clients"
MODULES = ROOT / "mcp/node_modules"
PATIENCE = 90.0  # seconds, for one client
CLIENTS = ["inspector-legacy", "inspector-auto", "py-auto", "py-legacy", "ts-auto", "ts-legacy"]


@dataclass(frozen=True)
class Server:
    """One server, and what is called on it."""

    name: str
    command: list[str]
    allowed: Json
    # The text that the result of the allowed call contains.
    expected: str
    # Listed, but this call is denied by its arguments.
    denied: Json | None
    hidden: str


def servers(work: Path) -> list[Server]:
    """Return the servers, with a folder and a repository for those that need one."""
    folder = work / "files"
    folder.mkdir()
    (folder / "note.txt").write_text("remember the milk")
    repository = work / "repository"
    subprocess.run(["git", "init", "--quiet", repository], check=True)  # noqa: S603, S607
    everything = MODULES / "@modelcontextprotocol/server-everything/dist/index.js"
    filesystem = MODULES / "@modelcontextprotocol/server-filesystem/dist/index.js"
    python = sys.executable
    read = {"name": "read_text_file", "arguments": {"path": str(folder / "note.txt")}}
    status = {"name": "git_status", "arguments": {"repo_path": str(repository)}}
    now = {"name": "get_current_time", "arguments": {"timezone": "UTC"}}
    say = [{"name": "echo", "arguments": {"message": text}} for text in ("hi", "a secret")]
    git = [python, "-m", "mcp_server_git", "--repository", str(repository)]
    return [
        Server("everything", [node(), str(everything)], say[0], "hi", say[1], "get-sum"),
        Server(
            "filesystem", [node(), str(filesystem), str(folder)], read, "milk", None, "write_file"
        ),
        Server("time", [python, "-m", "mcp_server_time"], now, "UTC", None, "convert_time"),
        Server("git", git, status, "No commits", None, "git_commit"),
    ]


class Sentinel:
    """The control plane that is asked."""

    def __init__(self, url: str, keys: dict[str, str]) -> None:
        """Remember where it is and what opens it."""
        self.url = url
        self.keys = keys

    def request(self, method: str, path: str, body: object = None) -> Json:
        """Send a request that must succeed."""
        content = None if body is None else json.dumps(body).encode()
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {self.keys['admin']}",
        }
        url = self.url + path
        request = urllib.request.Request(url, content, headers, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            result: Json = json.load(answer)
            return result

    def decisions(self) -> int:
        """Return how many calls have been recorded."""
        count: int = 0
        cursor = ""
        while True:
            path = f"/v1/decisions?tenant={TENANT}&limit=100{cursor}"
            page = self.request("GET", path)
            count += len([item for item in page["items"] if item["action"] == "call"])
            if not page.get("next_cursor"):
                return count
            cursor = f"&cursor={urllib.parse.quote(page['next_cursor'])}"

    def verified(self, manifest: str) -> bool:
        """Return whether a manifest verifies."""
        path = f"/provenance/verify/{urllib.parse.quote(manifest)}"
        return self.request("GET", path)["verified"] is True


def run(command: list[str], env: dict[str, str]) -> str:
    """Run a client and return what it prints."""
    done = subprocess.run(  # noqa: S603 - pinned clients
        command, capture_output=True, text=True, env=env, timeout=PATIENCE, check=False
    )
    if done.returncode != 0 and not done.stdout:
        raise RuntimeError(f"{command}: status {done.returncode}\n{done.stderr[-3000:]}")
    return done.stdout


def session(client: str, target: str, calls: list[Json], env: dict[str, str]) -> Json:
    """Have one client list the tools and make the calls."""
    kind, mode = client.split("-")
    if kind == "inspector":
        return inspect(mode, target, calls, env)
    runner = [sys.executable, str(ROOT / "mcp/session.py")]
    if kind == "ts":
        runner = [node(), str(ROOT / "mcp/session.mjs")]
    result: Json = json.loads(run([*runner, mode, target, json.dumps(calls)], env))
    return result


def inspect(mode: str, target: str, calls: list[Json], env: dict[str, str]) -> Json:
    """Do the same with the Inspector, which makes one call each time it runs."""
    launcher = MODULES / "@modelcontextprotocol/inspector/clients/launcher/build/index.js"
    base = [node(), str(launcher), "--cli", "--protocol-era", mode]
    if target.startswith("["):
        command = json.loads(target)
    else:
        command = [target, "--transport", "http"]
        base += ["--header", f"Authorization: Bearer {env['SENTINEL_API_KEY']}"]

    def invoke(*options: str) -> Json:
        text = run([*base, *options, "--", *command], env)
        result: Json = json.loads(text[text.index("{") :])
        return result

    tools = [tool["name"] for tool in invoke("--method", "tools/list")["tools"]]
    results = []
    for call in calls:
        pairs = [f"{key}={value}" for key, value in call["arguments"].items()]
        named = ["--method", "tools/call", "--tool-name", call["name"]]
        result = invoke(*named, *(["--tool-arg", *pairs] if pairs else []))
        text = "".join(block.get("text", "") for block in result["content"])
        is_error = result.get("isError", False)
        results.append({"isError": is_error, "text": text, "meta": result.get("_meta", {})})
    return {"tools": tools, "results": results}


def check_session(
    client: str, asked: list[tuple[Server, str]], seen: Json, sentinel: Sentinel
) -> list[str]:
    """Return what is wrong with the outcome of a session."""
    wrong = []
    results = iter(seen["results"])
    for server, prefix in asked:
        if prefix + server.hidden in seen["tools"]:
            wrong.append(f"{server.hidden} is listed")
        if prefix + server.allowed["name"] not in seen["tools"]:
            wrong.append(f"{server.allowed['name']} is not listed")
        for call in calls_of(server):
            result = next(results)
            if call is server.allowed:
                wrong += check_allowed(server, result, sentinel)
            elif not result.get("isError") or "Denied" not in result.get("text", ""):
                wrong.append(f"{call['name']} is not denied with a reason: {result}")
    return [f"{client}: {line}" for line in wrong]


def check_allowed(server: Server, result: Json, sentinel: Sentinel) -> list[str]:
    """Return what is wrong with the result of an allowed call."""
    if result.get("isError", True) or server.expected not in result["text"]:
        return [f"{server.name}: allowed, but the result is {result}"]
    manifest = result["meta"].get("sentinel/manifest")
    if not isinstance(manifest, str) or not sentinel.verified(manifest):
        return [f"{server.name}: no manifest that verifies in {result['meta']}"]
    return []


def calls_of(server: Server) -> list[Json]:
    """Return the calls of a session: allowed, denied, and allowed again."""
    hidden = {"name": server.hidden, "arguments": {}}
    denied = [server.denied] if server.denied else []
    return [server.allowed, *denied, hidden, server.allowed]


def named(call: Json, prefix: str) -> Json:
    """Return the call by the name that the client knows."""
    return {**call, "name": prefix + call["name"]}


def check(
    client: str,
    target: str,
    asked: list[tuple[Server, str]],
    sentinel: Sentinel,
    env: dict[str, str],
) -> bool:
    """Run one session and report it."""
    before = sentinel.decisions()
    calls = [named(call, prefix) for server, prefix in asked for call in calls_of(server)]
    try:
        seen = session(client, target, calls, env)
        wrong = check_session(client, asked, seen, sentinel)
    except (RuntimeError, ValueError, KeyError, subprocess.TimeoutExpired) as error:
        wrong = [f"{client}: {error!r}"]
    else:
        recorded = sentinel.decisions() - before
        if recorded != len(calls):
            wrong.append(f"{client}: {recorded} decisions for {len(calls)} calls")
    for line in wrong:
        print(f"mcp-clients: {line}", file=sys.stderr)
    if not wrong:
        print(f"mcp-clients: {client}: {len(calls)} calls", flush=True)
    return not wrong


def main() -> int:
    """Start Sentinel and run every session."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sentinel")
    parser.add_argument("--only", choices=["http", "wrap"])
    given = parser.parse_args()
    passed = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        behind = servers(work)
        log = work / "server.log"
        options = ["--listen", "127.0.0.1:0", "--log", "json", "--data-dir", str(work / "data")]
        options += ["--policies", str(ROOT / "mcp/clients-policies")]
        for server in behind:
            options += ["--allow-command", " ".join(server.command)]
        output = work / "server.out"
        with running([given.sentinel, "dev", *options], log, output=output):
            url = ready(output, log)
            keys = json.loads((work / "data/keys.json").read_text())
            sentinel = Sentinel(url, keys)
            sentinel.request("POST", "/v1/tenants", {"slug": TENANT})
            env = {**os.environ, "SENTINEL_URL": url, "SENTINEL_API_KEY": keys["agent"]}
            env["SENTINEL_TENANT"] = TENANT
            if given.only != "wrap":
                passed += over_http(behind, sentinel, env)
            if given.only != "http":
                passed += wrapped(given.sentinel, behind, sentinel, env)
    return 0 if all(passed) else 1


def over_http(behind: list[Server], sentinel: Sentinel, env: dict[str, str]) -> list[bool]:
    """Test all servers behind one endpoint."""
    for server in behind:
        transport = {"stdio": {"command": server.command}}
        upstream = {"tenant_slug": TENANT, "name": server.name, "transport": transport}
        sentinel.request("POST", "/v1/upstreams", upstream)
    asked = [(server, f"{server.name}__") for server in behind]
    target = f"{sentinel.url}/mcp/{TENANT}"
    return [check(client, target, asked, sentinel, env) for client in CLIENTS]


def wrapped(
    binary: str, behind: list[Server], sentinel: Sentinel, env: dict[str, str]
) -> list[bool]:
    """Test each server behind its own `sentinel mcp wrap`."""
    passed = []
    for server in behind:
        wrap = [binary, "mcp", "wrap", "--server", server.name, "--", *server.command]
        asked = [(server, "")]
        passed += [check(client, json.dumps(wrap), asked, sentinel, env) for client in CLIENTS]
    return passed


if __name__ == "__main__":
    sys.exit(main())
