"""The core passes the kit that adapters must pass."""

from __future__ import annotations

from pathlib import Path

import pytest
from harnesses import HARNESSES
from sentinel_mcp.conformance import Case, Harness, RealPlane, cases, check


def _pairs(*, truthful: bool) -> list[object]:
    return [
        pytest.param(case, harness, id=f"{harness.name}-{case}")
        for harness in HARNESSES
        for case in cases(harness.lacks, truthful=truthful)
    ]


@pytest.mark.parametrize(("case", "harness"), _pairs(truthful=False))
def test_conformance(case: Case, harness: Harness, tmp_path: Path) -> None:
    check(case, harness, tmp_path)


@pytest.mark.parametrize(("case", "harness"), _pairs(truthful=True))
def test_conformance_with_a_real_control_plane(
    case: Case, harness: Harness, tmp_path: Path, server: RealPlane
) -> None:
    check(case, harness, tmp_path, server.renew())


def test_the_copies_of_the_kit_are_current() -> None:
    kit = Path(__file__).parents[2] / "conformance"
    copies = Path(__file__).parents[1] / "src/sentinel_mcp/conformance"
    assert (kit / "cases.json").read_bytes() == (copies / "cases.json").read_bytes()
    assert (kit / "policies/policy.rego").read_bytes() == (copies / "policy.rego").read_bytes()
