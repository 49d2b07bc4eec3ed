"""What the control plane has recorded of the calls of mcp_clients.py."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.parse
import urllib.request
from collections import Counter
from typing import TYPE_CHECKING

from conformance import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mcp_servers import Json

# The log has a new checkpoint at least this often; then its entries can be audited.
LOG_PATIENCE = 30.0  # seconds


class ControlPlane:
    """The control plane, asked over HTTP."""

    def __init__(self, url: str, keys: dict[str, str]) -> None:
        """Remember where it is and what opens it."""
        self.url = url
        self.keys = keys

    def read(self, method: str, path: str, body: object = None) -> bytes:
        """Send a request that must succeed, and return the answer."""
        content = None if body is None else json.dumps(body).encode()
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {self.keys['admin']}",
        }
        url = self.url + path
        request = urllib.request.Request(url, content, headers, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310
            read: bytes = answer.read()
            return read

    def request(self, method: str, path: str, body: object = None) -> Json:
        """Send a request that must succeed, and return the JSON of the answer."""
        result: Json = json.loads(self.read(method, path, body))
        return result

    def items(self, path: str) -> Iterator[Json]:
        """Return all items of a list."""
        cursor = ""
        while True:
            page = self.request("GET", f"{path}&limit=100{cursor}")
            yield from page["items"]
            if not page.get("next_cursor"):
                return
            cursor = f"&cursor={urllib.parse.quote(page['next_cursor'])}"

    def decisions(self, tenant: str) -> list[Json]:
        """Return the decisions about calls, in their order."""
        items = self.items(f"/v1/decisions?tenant={tenant}")
        calls = [item for item in items if item["action"] == "call"]
        return sorted(calls, key=lambda item: int(item["sequence"]))

    def verified(self, manifest: str) -> bool:
        """Return whether a manifest verifies."""
        path = f"/provenance/verify/{urllib.parse.quote(manifest)}"
        return self.request("GET", path)["verified"] is True


def check_tenant(plane: ControlPlane, tenant: str) -> list[str]:
    """Return what is wrong with the records of a tenant: counts and signatures."""
    decisions = plane.decisions(tenant)
    allowed = {item["id"] for item in decisions if item["decision"] == "allow"}
    wrong = []
    manifests = list(plane.items(f"/v1/manifests?tenant={tenant}"))
    signed = Counter(item["decision_id"] for item in manifests if item["action"] == "call")
    if set(signed) != allowed or any(count != 1 for count in signed.values()):
        wrong.append(f"{len(allowed)} calls were allowed, but {signed.total()} outcomes are signed")
    wrong += [
        f"manifest {m['id']} does not verify" for m in manifests if not plane.verified(m["id"])
    ]
    counters = list(plane.items(f"/v1/quotas?tenant={tenant}"))
    used = sum(item["usage"] for item in counters)
    # A window may have begun meanwhile.
    start = max((item["window_start"] for item in counters), default="")
    due = [item for item in decisions if item["id"] in allowed and item["created_at"] >= start]
    if used != len(due):
        wrong.append(f"{len(due)} calls were allowed, but {used} are counted")
    if not allowed or len(allowed) == len(decisions):
        wrong.append("nothing was allowed, or nothing was denied")
    return [f"{tenant}: {line}" for line in wrong]


def audit(plane: ControlPlane, sentinel: str, tenants: list[str], work: Path) -> list[str]:
    """Audit the log as an outsider does, and find every signed outcome in it."""
    root = work / "trusted-root.json"
    root.write_bytes(plane.read("GET", "/v1/trusted-root"))
    bundles = []
    for tenant in tenants:
        for manifest in plane.items(f"/v1/manifests?tenant={tenant}"):
            bundle = work / f"{manifest['id']}.json"
            bundle.write_bytes(plane.read("GET", f"/v1/manifests/{manifest['id']}/bundle"))
            bundles.append(str(bundle))
    command = [sentinel, "log", "audit", f"{plane.url}/v1/log/", "--trusted-root", str(root)]
    env = {**os.environ, "SENTINEL_URL": plane.url, "SENTINEL_API_KEY": plane.keys["admin"]}
    deadline = time.monotonic() + LOG_PATIENCE
    while True:
        done = subprocess.run(  # noqa: S603 - our own program
            [*command, "--bundle", *bundles], capture_output=True, text=True, env=env, check=False
        )
        if done.returncode == 0 and bundles:
            return []
        if time.monotonic() > deadline:
            return [f"the audit of the log fails:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"]
        time.sleep(1)
