#!/usr/bin/env python3
"""Measure how long a kill takes to reach a running tool.

From the moment in which the 200 of `POST /kill` has arrived to the moment in which the tool, a
coroutine of the same process, sees its cancellation. The next call must be refused without a
request.

Usage: kill.py [--kills N] [--binary SENTINEL]

Exit status: 0 when p99 is under 100 ms and no call got through, 1 when not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from sentinel_mcp import AsyncSentinel, Call, PolicyDenied, Settings
from sentinel_mcp.conformance import RealPlane
from sentinel_mcp.core import core_of

ALLOWED_MS: Final = 100.0
TARGETS: Final[tuple[dict[str, str], ...]] = ({"tool_name": "wait"}, {}, {"agent": "bench"})


async def once(plane: RealPlane, sentinel: AsyncSentinel, number: int) -> float:
    """Kill a running call; return the milliseconds until it saw that."""
    running = asyncio.Event()
    seen = 0.0

    async def tool() -> None:
        nonlocal seen
        running.set()
        try:
            await asyncio.sleep(30)
        finally:
            seen = time.perf_counter()

    task = asyncio.create_task(sentinel.run(Call("wait"), tool))
    await running.wait()
    target = TARGETS[number % len(TARGETS)]

    def kill() -> float:
        plane.kill({**target, "reason": "bench"})
        return time.perf_counter()

    answered = await asyncio.to_thread(kill)
    try:
        await asyncio.wait_for(task, 10)
        raise RuntimeError("the call was not stopped")
    except PolicyDenied as denied:
        if denied.code != "killed":
            raise
    checks = plane.checks()
    try:
        await sentinel.run(Call("wait"), tool)
        raise RuntimeError("a call was made after the kill")
    except PolicyDenied as denied:
        if denied.code != "killed" or plane.checks() != checks:
            raise RuntimeError("the call after the kill was asked about") from denied
    await asyncio.to_thread(plane.restore, target)
    watch = core_of(sentinel.settings).watch
    while watch.denial("wait", "bench") is not None:  # noqa: ASYNC110 - another thread hears it
        await asyncio.sleep(0.001)
    return (seen - answered) * 1000


async def measure(plane: RealPlane, kills: int) -> list[float]:
    """Return the milliseconds of each kill."""
    settings = Settings(
        url=plane.url, api_key=plane.api_key, tenant=plane.tenant, agent="bench", sign="off"
    )
    sentinel = AsyncSentinel(settings)
    watch = core_of(settings).watch
    watch.start()
    while not watch.live.is_set():  # noqa: ASYNC110 - another thread sets it
        await asyncio.sleep(0.01)
    return [await once(plane, sentinel, number) for number in range(kills)]


def main() -> int:
    """Measure, print and judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--binary", help="the program `sentinel`")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, RealPlane(Path(folder), options.binary) as plane:
        times = sorted(asyncio.run(measure(plane, options.kills)))
    found = {"kills": len(times), "p50_ms": times[len(times) // 2]}
    found["p99_ms"] = times[int(len(times) * 0.99)]
    found["most_ms"] = times[-1]
    sys.stdout.write(json.dumps(found) + "\n")
    return 0 if found["p99_ms"] < ALLOWED_MS else 1


if __name__ == "__main__":
    sys.exit(main())
