#!/bin/sh
# Runs `sentinel hook claude-code` after a call. The tool has run, so no failure of this may look like one of the tool.
"${SENTINEL_BINARY:-sentinel}" hook claude-code --tool-prefix "${SENTINEL_TOOL_PREFIX:-}" || exit 0
