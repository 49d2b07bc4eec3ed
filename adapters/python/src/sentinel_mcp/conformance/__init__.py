"""The conformance kit: cases that every adapter must pass.

An adapter's author writes a `Harness`, and a test:

```python
import pytest
from sentinel_mcp.conformance import Case, cases, check

HARNESS = MyHarness()

@pytest.mark.parametrize("case", cases(HARNESS.lacks), ids=str)
def test_conformance(case: Case, tmp_path) -> None:
    check(case, HARNESS, tmp_path)
```
"""

from sentinel_mcp.conformance.cases import Case, PlannedCall, cases
from sentinel_mcp.conformance.check import check
from sentinel_mcp.conformance.fake import FakePlane
from sentinel_mcp.conformance.harness import Harness, Session
from sentinel_mcp.conformance.real import RealPlane
from sentinel_mcp.conformance.toolbox import Exploded, Run, Toolbox

__all__ = [
    "Case",
    "Exploded",
    "FakePlane",
    "Harness",
    "PlannedCall",
    "RealPlane",
    "Run",
    "Session",
    "Toolbox",
    "cases",
    "check",
]
