"""Plays one case against an adapter, and says what is wrong."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sentinel_mcp.canonical import canonical
from sentinel_mcp.conformance.cases import document
from sentinel_mcp.conformance.fake import FakePlane
from sentinel_mcp.conformance.toolbox import Toolbox
from sentinel_mcp.core import core_of
from sentinel_mcp.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sentinel_mcp.conformance.cases import Case, PlannedCall
    from sentinel_mcp.conformance.harness import Harness, Session
    from sentinel_mcp.conformance.plane import Plane

_DEADLINE: Final = 1.0
"""Seconds that a decision may take in the cases in which the control plane misbehaves."""
_PATIENCE: Final = 10.0


def check(case: Case, harness: Harness, folder: Path, plane: Plane | None = None) -> None:
    """Play a case; raises `AssertionError` with everything that is wrong.

    Without a `plane` the kit plays the control plane itself. A real one takes part in the cases
    that `cases(truthful=True)` returns.
    """
    if plane is not None:
        _play(case, harness, folder, plane)
        return
    with FakePlane(case.check, case.sign) as fake:
        _play(case, harness, folder, fake)
        if fake.followed:
            raise AssertionError(f"{case}: a redirect was followed")


def _play(case: Case, harness: Harness, folder: Path, plane: Plane) -> None:
    doc = document()
    settings = Settings(
        url=plane.url,
        api_key=plane.api_key,
        tenant=plane.tenant,
        agent=doc["agent"],
        timeout=5.0 if case.is_truthful else _DEADLINE,
        spool_dir=folder / "spool",
    )
    play = _Play(case, plane, settings, Toolbox())
    core = core_of(settings)
    try:
        play.act(harness.open(play.toolbox, settings))
        wrong = play.wrong(doc["never_read"])
    finally:
        core.close()
    if wrong:
        raise AssertionError(f"{harness.name}, {case}: {case.says}\n" + "\n".join(wrong))


@dataclass
class _Play:
    case: Case
    plane: Plane
    settings: Settings
    toolbox: Toolbox
    read: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        # A real control plane is shared by the cases: what earlier ones left does not count.
        self._checks = self.plane.checks()
        self._decisions = set(self.plane.decisions())
        self._earlier = {each.decision_id for each in self.plane.signed()}

    def act(self, session: Session) -> None:
        """Let the model make its calls, each in a loop of its own where the case wants it."""
        loops: list[list[list[PlannedCall]]] = [[]]
        for turn in self.case.turns:
            if any(call.before.get("new_event_loop") for call in turn):
                loops.append([])
            loops[-1].append(turn)
        for turns in loops:
            asyncio.run(self._turns(session, turns))

    async def _turns(self, session: Session, turns: Sequence[Sequence[PlannedCall]]) -> None:
        for turn in turns:
            for call in turn:
                await asyncio.to_thread(self._happen, call.before)
            during = [call.during for call in turn if call.during]
            meanwhile = threading.Thread(target=self._meanwhile, args=(during,))
            meanwhile.start()
            started = time.monotonic()
            try:
                async with asyncio.timeout(_PATIENCE * 3):
                    self.read.update(await session.turn(turn))
            finally:
                self.seconds += time.monotonic() - started
                await asyncio.to_thread(meanwhile.join)

    def _meanwhile(self, events: Sequence[dict[str, Any]]) -> None:
        if events and self.toolbox.waiting.wait(_PATIENCE):
            for event in events:
                self._happen(event)

    def _happen(self, event: dict[str, Any]) -> None:
        watch = core_of(self.settings).watch
        for name in ("kill", "restore"):
            if name in event:
                _until(watch.live.is_set)
                heard = watch.heard
                target = {
                    field: value.replace("{principal}", self.plane.principal)
                    for field, value in event[name].items()
                }
                getattr(self.plane, name)(target)
                _until(lambda heard=heard: watch.heard > heard)  # type: ignore[misc]

    def wrong(self, never_read: Sequence[str]) -> list[str]:
        """Return what is not as the case expects it."""
        expect = self.case.expect
        wrong = self._wrong_runs(expect)
        wrong += self._wrong_texts(expect.get("read", {}), never_read)
        wrong += self._wrong_checks(expect)
        if expect["signed"] != "any":
            wrong += self._wrong_signatures([tuple(each) for each in expect["signed"]])
        if "spooled" in expect:
            spool = core_of(self.settings).signer.stats
            if not _until(lambda: spool().entries == expect["spooled"]):
                wrong.append(f"{spool().entries} outcomes are in the spool")
        if self.seconds > expect.get("within_seconds", _PATIENCE * 3):
            wrong.append(f"the calls took {self.seconds:.1f} seconds")
        return wrong

    def _wrong_runs(self, expect: dict[str, Any]) -> list[str]:
        wrong = []
        for name in ("started", "cancelled"):
            seen = sorted(run.tool for run in getattr(self.toolbox, name))
            if name in expect and seen != sorted(expect[name]):
                wrong.append(f"{name}: {seen}, and not {sorted(expect[name])}")
        for never in expect.get("never_ran_with", []):
            for run in self.toolbox.started:
                decided = self._was_decided(run.tool, run.arguments)
                if (run.tool, run.arguments) == (never["tool"], never["arguments"]) and not decided:
                    wrong.append(f"{run.tool} ran with arguments that nobody decided")
        return wrong

    def _was_decided(self, tool: str, arguments: dict[str, Any]) -> bool:
        requests = getattr(self.plane, "requests", [])
        return any(
            path == "/policy/check" and body["tool_name"] == tool and body["arguments"] == arguments
            for path, body in requests
        )

    def _wrong_texts(self, expected: dict[str, Any], never_read: Sequence[str]) -> list[str]:
        wrong = []
        for call, rule in expected.items():
            text = self.read.get(call)
            if text is None:
                wrong.append(f"the model read nothing of call {call}")
                continue
            for part in rule.get("includes", ()):
                found = any(made in text for made in self.plane.decisions())
                if part == "{decision}" and not found:
                    wrong.append(f"the model did not read the decision: {text!r}")
                elif part != "{decision}" and part not in text:
                    wrong.append(f"the model did not read {part!r}, but {text!r}")
            wrong += [
                f"the model read {part!r}: {text!r}"
                for part in rule.get("excludes", ())
                if part in text
            ]
        for call, text in self.read.items():
            wrong += [
                f"of call {call} the model read {word!r}: {text!r}"
                for word in never_read
                if word in text.lower()
            ]
        return wrong

    def _wrong_checks(self, expect: dict[str, Any]) -> list[str]:
        wrong = []
        checks = self.plane.checks() - self._checks
        if "checks" in expect and checks != expect["checks"]:
            wrong.append(f"{checks} checks were made, and not {expect['checks']}")
        decisions = set(self.plane.decisions()) - self._decisions
        if len(decisions) < expect.get("distinct_decisions", 0):
            wrong.append(f"the calls share {len(decisions)} decisions")
        return wrong

    def _wrong_signatures(self, expected: list[tuple[str, str]]) -> list[str]:
        def seen() -> list[tuple[str, str | None]]:
            return sorted(
                (each.tool, each.payload["outcome"] if each.payload is not None else None)
                for each in self.plane.signed()
                if each.decision_id not in self._earlier
            )

        def is_as_expected() -> bool:
            tools = sorted(tool for tool, _ in expected)
            outcomes = all(outcome is not None for _, outcome in seen())
            return seen() == sorted(expected) if outcomes else [t for t, _ in seen()] == tools

        if not _until(is_as_expected, 5.0 if expected else 0.3):
            return [f"signed: {seen()}, and not {sorted(expected)}"]
        ran = {hashlib.sha256(canonical(run.arguments)).hexdigest() for run in self.toolbox.started}
        return [
            f"the outcome of {each.tool} is of other arguments"
            for each in self.plane.signed()
            if each.payload is not None and each.payload["arguments_sha256"] not in ran
        ]


def _until(holds: Callable[[], bool], seconds: float = _PATIENCE) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
