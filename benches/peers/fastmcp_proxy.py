#!/usr/bin/env python3
"""Run the FastMCP proxy in front of one MCP server, for `sentinel-bench all --only gateway`.

Usage: fastmcp_proxy.py URL FOLDER. Prints where it serves as one line of JSON. The settings are
those that suit it best: no sessions, and responses as JSON, which spares it streams of events.
"""

from __future__ import annotations

import json
import socket
import sys

from fastmcp.server import create_proxy  # type: ignore[import-not-found]


def main() -> None:
    """Serve on a free port until killed."""
    proxy = create_proxy(sys.argv[1], name="bench")
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    host, port = listener.getsockname()
    ready = {"address": f"{host}:{port}", "path": "/mcp", "tool": "echo"}
    print(json.dumps(ready), flush=True)
    proxy.run(
        transport="http",
        sockets=[listener],
        path="/mcp",
        stateless_http=True,
        json_response=True,
        show_banner=False,
        log_level="ERROR",
    )


if __name__ == "__main__":
    main()
