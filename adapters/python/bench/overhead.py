#!/usr/bin/env python3
"""Measure what a governed call costs beyond a bare `POST /policy/check`.

One process, one event loop, one real control plane. Bare checks and governed calls of a tool that
does nothing take turns in slices, so that whatever else the machine does meets both. The bare check
is that of httpx2 on kept connections, with its answer parsed. Between two slices the outcomes of
the earlier one are signed, so that a bare check does not pay for them.

Usage: overhead.py [--seconds N] [--at-once N …] [--binary SENTINEL]

Exit status: 0 when every governed call costs at most 0.3 ms more (p50), 1 when not.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import httpx2
from sentinel_mcp import AsyncSentinel, Call, Settings
from sentinel_mcp.conformance import RealPlane
from sentinel_mcp.core import core_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ALLOWED_MS: Final = 0.3
CONCURRENT: Final = (1, 16, 64)
SLICES: Final = 40
ARGUMENTS: Final = {"query": "how do I trace a run?", "limit": 10}


class Measured(NamedTuple):
    """Medians over the slices, in milliseconds."""

    bare: float
    governed: float
    more: float
    """How much more a governed call took than a bare check in the slice beside it."""


async def slice_of(
    call: Callable[[], Awaitable[object]], at_once: int, seconds: float
) -> list[float]:
    """Return how long calls took, in milliseconds."""
    times: list[float] = []
    end = time.perf_counter() + seconds

    async def lane() -> None:
        while (started := time.perf_counter()) < end:
            await call()
            times.append((time.perf_counter() - started) * 1000)

    await asyncio.gather(*(lane() for _ in range(at_once)))
    return times


async def settled(settings: Settings) -> None:
    """Wait until every outcome is signed."""
    while core_of(settings).signer.waiting():  # noqa: ASYNC110 - another thread signs
        await asyncio.sleep(0.05)


async def measure(plane: RealPlane, at_once: int, sign: str, seconds: float) -> Measured:
    """Measure bare checks and governed calls in turn."""
    settings = Settings(
        url=plane.url,
        api_key=plane.api_key,
        tenant=plane.tenant,
        sign=sign,  # type: ignore[arg-type]
        spool_dir=Path(tempfile.mkdtemp()),
    )
    sentinel = AsyncSentinel(settings)
    check = {"tenant_slug": plane.tenant, "tool_name": "lookup", "action": "call"}
    check["arguments"] = ARGUMENTS  # type: ignore[assignment]
    headers = {"authorization": f"Bearer {plane.api_key}"}

    async def nothing() -> str:
        return "done"

    async with httpx2.AsyncClient(base_url=plane.url, headers=headers) as client:

        async def bare() -> object:
            answer = await client.post("/policy/check", json=check)
            return answer.json()["allow"]

        async def governed() -> object:
            return await sentinel.run(Call("lookup", arguments=ARGUMENTS), nothing)

        medians: dict[object, list[float]] = {bare: [], governed: []}
        for call in (bare, governed):
            await slice_of(call, at_once, seconds / SLICES / 4)
        for number in range(SLICES):
            for call in (bare, governed) if number % 2 else (governed, bare):
                await settled(settings)
                times = await slice_of(call, at_once, seconds / SLICES)
                medians[call].append(statistics.median(times))
        await settled(settings)
        await sentinel.aclose()
    core_of(settings).close()
    more = [after - before for before, after in zip(*medians.values(), strict=True)]
    return Measured(*map(statistics.median, (*medians.values(), more)))


def main() -> int:
    """Measure, print a table and judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=8.0, help="for each cell of the table")
    parser.add_argument("--at-once", type=int, nargs="*", default=CONCURRENT, metavar="N")
    parser.add_argument("--binary", help="the program `sentinel`")
    options = parser.parse_args()
    slow = []
    with tempfile.TemporaryDirectory() as folder, RealPlane(Path(folder), options.binary) as plane:
        for at_once in options.at_once:
            for sign in ("off", "background"):
                found = asyncio.run(measure(plane, at_once, sign, options.seconds))
                if found.more > ALLOWED_MS:
                    slow.append((at_once, sign))
                sys.stdout.write(
                    f"{at_once:3} at once, signing {sign:10}: bare {found.bare:7.3f} ms, "
                    f"governed {found.governed:7.3f} ms, {found.more:+.3f} ms\n"
                )
                sys.stdout.flush()
    if slow:
        sys.stdout.write(f"more than {ALLOWED_MS} ms: {slow}\n")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
