#!/usr/bin/env python3
"""One session of the Python SDK: see session.mjs, which has the same arguments and output."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client


async def session(mode: str, target: str, calls: str) -> dict[str, object]:
    """Run the session."""
    headers = json.loads(os.environ.get("MCP_HEADERS", "{}"))
    results: list[dict[str, object]] = []
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        server: Any
        if target.startswith("["):
            command, *arguments = json.loads(target)
            server = StdioServerParameters(command=command, args=arguments, env=dict(os.environ))
        else:
            server = streamable_http_client(target, http_client=http)
        async with Client(server, mode=mode) as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            for call in json.loads(calls):
                try:
                    result = await client.call_tool(call["name"], call["arguments"])
                except Exception as error:  # noqa: BLE001 - reported as the program sees it
                    results.append({"raised": repr(error)})
                    continue
                text = "".join(getattr(block, "text", "") for block in result.content)
                is_error, meta = bool(result.is_error), result.meta or {}
                results.append({"isError": is_error, "text": text, "meta": meta})
    return {"tools": tools, "results": results}


print(json.dumps(asyncio.run(session(*sys.argv[1:4]))))
