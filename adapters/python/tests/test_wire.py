"""The generated types are those of the interface."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "scripts/generate_wire.py"


def test_the_generated_types_are_current() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--check"], check=False)  # noqa: S603
    assert done.returncode == 0, "run adapters/python/scripts/generate_wire.py"
