"""The wheel installs into an empty environment, and the example of the README runs there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from pathlib import Path
from typing import TYPE_CHECKING

from sentinel_mcp.conformance import RealPlane

if TYPE_CHECKING:
    import pytest

PROJECT = Path(__file__).parents[1]
SHIPPED = PROJECT.parents[1] / "policies/shipped"


def _run(*command: object, **env: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own
        [str(part) for part in command],
        env={**os.environ, **env},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_readme_runs_where_nothing_else_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    build = (sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path / "dist")
    _run(*build, PROJECT)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert len(list((tmp_path / "dist").glob("*.tar.gz"))) == 1
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv/bin/python"
    _run(python, "-m", "pip", "install", "--quiet", wheel)

    program = re.search(r"```python\n(.*?)```", (PROJECT / "README.md").read_text(), re.DOTALL)
    assert program is not None
    (tmp_path / "example.py").write_text(program[1])
    with RealPlane(tmp_path / "plane", policies=SHIPPED) as plane:
        said = _run(
            python,
            "-W",
            "error",
            tmp_path / "example.py",
            SENTINEL_URL=plane.url,
            SENTINEL_API_KEY=plane.api_key,
            SENTINEL_TENANT="platform-eng",
            SENTINEL_SPOOL_DIR=str(tmp_path / "spool"),
        )
        first, second = said.splitlines()
        assert first == "three pages about tracing"
        assert second.startswith("Denied by policy: the tool may not be used for this purpose.")
        signed = plane.ask("GET", "/v1/manifests?tenant=platform-eng", "auditor")["items"]
        assert [each["tool"] for each in signed] == ["langsmith-docs-search"]
    # The kit is in the wheel, with its cases, and the types are marked as such.
    code = "from sentinel_mcp.conformance import cases; print(len(cases()))"
    assert int(_run(python, "-c", code)) > 70
    assert list((tmp_path / "venv").glob("lib/*/site-packages/sentinel_mcp/py.typed"))
