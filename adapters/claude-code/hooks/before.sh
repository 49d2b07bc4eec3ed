#!/bin/sh
# Runs `sentinel hook claude-code` before a call, and blocks the call (status 2) unless that gave one of its two
# answers. Claude Code by itself lets a tool run when the command is missing, fails, or prints half an answer.
answer=$("${SENTINEL_BINARY:-sentinel}" hook claude-code --tool-prefix "${SENTINEL_TOOL_PREFIX:-}")
status=$?

if [ "$status" -eq 2 ]; then
	exit 2
elif [ "$status" -eq 0 ]; then
	case $answer in
	'{}' | '{"hookSpecificOutput":{'*'}}')
		printf '%s\n' "$answer"
		exit 0
		;;
	esac
	failure='gave no answer'
else
	failure="failed with status $status"
fi
echo "Denied because the command \`sentinel\` $failure. The tool was not run. Do not retry it: tell the user to run \`sentinel doctor\`." >&2
exit 2
