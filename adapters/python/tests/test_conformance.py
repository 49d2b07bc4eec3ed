"""The core passes the kit that adapters must pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from harnesses import HARNESSES
from sentinel_mcp.conformance import Case, Harness, RealPlane, cases, check

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def _pairs(*, truthful: bool) -> list[object]:
    return [
        pytest.param(case, harness, id=f"{harness.name}-{case}")
        for harness in HARNESSES
        for case in cases(harness.lacks, truthful=truthful)
    ]


@pytest.mark.parametrize(("case", "harness"), _pairs(truthful=False))
def test_conformance(case: Case, harness: Harness, tmp_path: Path) -> None:
    check(case, harness, tmp_path)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealPlane]:
    with RealPlane(tmp_path_factory.mktemp("plane")) as plane:
        yield plane


@pytest.mark.parametrize(("case", "harness"), _pairs(truthful=True))
def test_conformance_with_a_real_control_plane(
    case: Case, harness: Harness, tmp_path: Path, server: RealPlane
) -> None:
    check(case, harness, tmp_path, server.renew())
