"""The cases that every adapter must pass, as `cases.json` states them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

Capability = Literal["cancel", "changed_arguments", "parallel"]


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A call that the scripted model makes."""

    id: str
    tool: str
    arguments: dict[str, Any]
    before: dict[str, Any] = field(default_factory=dict)
    """What happens before the turn of the call."""
    during: dict[str, Any] = field(default_factory=dict)
    """What happens while the tool runs."""
    changed_to: dict[str, Any] | None = None
    """What something that comes after the adapter changes the arguments to."""


@dataclass(frozen=True, slots=True)
class Case:
    """One case."""

    id: str
    says: str
    turns: list[list[PlannedCall]]
    expect: dict[str, Any]
    needs: frozenset[str]
    check: dict[str, Any] | None
    """How the control plane answers a check, other than truthfully."""
    sign: dict[str, Any] | None
    """How it answers a request to sign."""

    @property
    def is_truthful(self) -> bool:
        """Whether a real control plane can play its part."""
        return self.check is None and self.sign is None

    @classmethod
    def read(cls, case: dict[str, Any]) -> Self:
        """Read a case of the file; an unknown member is an error."""
        rest = dict(case)
        turns = [[PlannedCall(**call) for call in turn] for turn in rest.pop("turns")]
        return cls(
            id=rest.pop("id"),
            says=rest.pop("says"),
            turns=turns,
            expect=rest.pop("expect"),
            needs=frozenset(rest.pop("needs", ())),
            check=rest.pop("check", None),
            sign=rest.pop("sign", None),
            **rest,
        )

    def __str__(self) -> str:
        return self.id


def document() -> dict[str, Any]:
    """Return the file of the cases."""
    text = resources.files(__package__).joinpath("cases.json").read_text("utf-8")
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def cases(lacks: Mapping[str, str] | None = None, *, truthful: bool = False) -> list[Case]:
    """Return the cases for an adapter whose framework lacks some capabilities.

    `truthful` leaves those out in which the control plane misbehaves, which a real one does not.
    """
    lacking = frozenset(lacks or ())
    every = [Case.read(case) for case in document()["cases"]]
    return [
        case for case in every if not case.needs & lacking and (case.is_truthful or not truthful)
    ]
