#!/bin/sh
# Runs `sentinel hook claude-code` before a call, and blocks the call (status 2) unless that gave one of its two
# answers. Claude Code by itself lets a tool run when the command is missing, fails, or prints half an answer.
#
# With `skill` as its argument it is for a shell command in the text of a skill. That event has another name, which the
# command does not know: it is renamed on the way in and out. In a string its quotes would be escaped, so only the name
# of the event can match.
decide() {
	"${SENTINEL_BINARY:-sentinel}" hook claude-code --tool-prefix "${SENTINEL_TOOL_PREFIX:-}"
}

if [ "${1:-}" = skill ]; then
	answer=$(sed 's/"hook_event_name": *"PreSkillShellCommand"/"hook_event_name":"PreToolUse"/' | decide)
	status=$?
	answer=$(printf '%s' "$answer" | sed 's/^{"hookSpecificOutput":{"hookEventName":"PreToolUse"/{"hookSpecificOutput":{"hookEventName":"PreSkillShellCommand"/')
else
	answer=$(decide)
	status=$?
fi

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
