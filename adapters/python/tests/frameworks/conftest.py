"""What the tests of all frameworks use: one real control plane, and settings for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sentinel_mcp import Settings
from sentinel_mcp.conformance import RealPlane, Toolbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealPlane]:
    """Run a control plane for all tests."""
    with RealPlane(tmp_path_factory.mktemp("plane")) as running:
        yield running


@pytest.fixture
def plane(server: RealPlane) -> RealPlane:
    """Return the control plane with a tenant of the test's own."""
    return server.renew()


@pytest.fixture
def settings(plane: RealPlane, tmp_path: Path) -> Settings:
    """Return settings of a client of the control plane."""
    return Settings(
        url=plane.url,
        api_key=plane.api_key,
        tenant=plane.tenant,
        agent="conformance-agent",
        spool_dir=tmp_path / "spool",
    )


@pytest.fixture
def toolbox() -> Toolbox:
    """Return tools that record what is done to them."""
    return Toolbox()
