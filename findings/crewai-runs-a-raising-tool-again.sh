#!/usr/bin/env bash
# CrewAI 1.15.30 runs a tool that raises up to six times for one request of the model.
#
# Seen 2026-11-29, where the model answers in text (no function calling). The model asks once for `pay`; the tool raises.
# CrewAI calls the tool again by itself, before the model reads anything:
#
#   {"asked": 2, "runs": 6}
#
# Why it hurts: a call that failed may have been carried out all the same (a payment whose confirmation is lost). One
# allow that is given before the agent's own code stands for six executions, a quota counts one of them, and the record
# of what the agent did misses five. So each run of the tool has to be decided, counted and recorded by itself.
#
# Installs it in a temporary folder and fails when the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check crewai==1.15.30
cat >agent.py <<'PYTHON'
import json

from crewai import Agent, Crew, Task
from crewai.llms.base_llm import BaseLLM
from crewai.tools import tool

RUNS = []


class Scripted(BaseLLM):
    """A model without function calling: it asks once, in text, and then ends."""

    model: str = "scripted"
    asked: int = 0

    def supports_function_calling(self):
        return False

    def call(self, messages, *_, **__):
        self.asked += 1
        if self.asked == 1:
            return 'Thought: pay\nAction: pay\nAction Input: {"amount": 5}\n'
        return "Thought: enough\nFinal Answer: done"


@tool("pay")
def pay(amount: int) -> str:
    """Pay an amount."""
    RUNS.append(amount)
    raise RuntimeError("the bank did not answer")


model = Scripted(model="scripted")
agent = Agent(role="payer", goal="pay", backstory="b", llm=model, tools=[pay], max_iter=3, verbose=False)
task = Task(description="pay 5", expected_output="done", agent=agent)
Crew(agents=[agent], tasks=[task], verbose=False).kickoff()
print(json.dumps({"asked": model.asked, "runs": len(RUNS)}))
PYTHON
seen=$(HOME=$dir CREWAI_DISABLE_TELEMETRY=true CREWAI_TRACING_ENABLED=false OTEL_SDK_DISABLED=true \
  venv/bin/python agent.py 2>/dev/null | tail -1)
echo "$seen"
[ "$seen" = '{"asked": 2, "runs": 6}' ] || { echo "the behaviour has changed" >&2; exit 1; }
