"""The Google ADK adapter with the real package, a scripted model and a real control plane."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from google.adk.agents import LlmAgent
from google.adk.agents.run_config import RunConfig, StreamingMode
from google.adk.models import BaseLlm, LlmResponse
from google.adk.plugins.base_plugin import BasePlugin
from google.adk.runners import InMemoryRunner
from google.adk.tools import AgentTool, FunctionTool, google_search
from google.genai import types
from sentinel_mcp.conformance import Case, PlannedCall, RealPlane, Toolbox, cases, check
from sentinel_mcp.frameworks.google_adk import SentinelPlugin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from sentinel_mcp import Settings

QUERY = {"query": "rust"}


class Script(BaseLlm):
    """A model that makes calls, and remembers what it read."""

    model: str = "script"
    turns: list[list[types.Part]] = []
    read: dict[str, Any] = {}

    async def generate_content_async(
        self,
        llm_request: Any,
        stream: bool = False,  # noqa: FBT002
    ) -> AsyncIterator[LlmResponse]:
        for content in llm_request.contents:
            for part in content.parts or ():
                if part.function_response is not None:
                    response = part.function_response
                    self.read[response.id] = response.response
        parts = self.turns.pop(0) if self.turns else [types.Part(text="done")]
        yield LlmResponse(content=types.Content(role="model", parts=parts))


def script(*calls: tuple[str, str, dict[str, Any]]) -> Script:
    """Return a model with one turn of calls."""
    parts = [
        types.Part(function_call=types.FunctionCall(id=i, name=n, args=dict(a)))
        for i, n, a in calls
    ]
    return Script(turns=[parts], read={})


async def run(agent: LlmAgent, *plugins: BasePlugin, **more: Any) -> None:
    """Run an agent once."""
    runner = InMemoryRunner(agent, app_name="tests", plugins=[*plugins])
    session = await runner.session_service.create_session(app_name="tests", user_id="u")
    message = types.Content(role="user", parts=[types.Part(text="go")])
    async for _ in runner.run_async(
        user_id="u", session_id=session.id, new_message=message, **more
    ):
        pass


def text(response: Any) -> str:
    """Return a response as text."""
    if isinstance(response, dict) and set(response) == {"result"}:
        return str(response["result"])
    return json.dumps(response)


def changing(calls: Sequence[PlannedCall]) -> Callable[..., None]:
    """Return a callback of an agent, which comes after all plugins, that changes calls."""
    changes = {call.id: call.changed_to for call in calls if call.changed_to is not None}

    def change(tool: Any, args: dict[str, Any], tool_context: Any) -> None:
        args.update(changes.get(tool_context.function_call_id) or {})

    return change


class AgentSession:
    """An agent under a runner with the plugin."""

    def __init__(self, toolbox: Toolbox, settings: Settings, way: str) -> None:
        self._way = way
        self._plugin = SentinelPlugin(settings)
        pick = toolbox.functions if way == "functions" else toolbox.coroutines
        self._tools = [FunctionTool(each) for each in pick.values()]

    async def turn(self, calls: Sequence[PlannedCall]) -> Mapping[str, str]:
        model = script(*[(c.id, c.tool, c.arguments) for c in calls])
        agent = LlmAgent(
            name="main", model=model, tools=[*self._tools], before_tool_callback=changing(calls)
        )
        mode = StreamingMode.SSE if self._way == "streamed" else StreamingMode.NONE
        try:
            await run(agent, self._plugin, run_config=RunConfig(streaming_mode=mode))
        except Exception as error:  # noqa: BLE001 - the kit judges it
            return {call.id: str(error) for call in calls}
        return {call_id: text(response) for call_id, response in model.read.items()}


class GoogleAdk:
    """The framework, used in one way."""

    def __init__(self, way: str) -> None:
        self.name = f"google-adk {way}"
        self.lacks: Mapping[str, str] = {}
        if way == "functions":
            self.lacks = {"cancel": "a plain function runs in the event loop, and holds it up"}
        self._way = way

    def open(self, toolbox: Toolbox, settings: Settings) -> AgentSession:
        return AgentSession(toolbox, settings, self._way)


def kit(*harnesses: GoogleAdk, truthful: bool = False) -> Any:
    """Return the cases of the kit for some ways to use the framework."""
    params = [(h, case) for h in harnesses for case in cases(h.lacks, truthful=truthful)]
    names = [f"{h.name}-{c}".replace(" ", "-") for h, c in params]
    return pytest.mark.parametrize(("harness", "case"), params, ids=names)


@kit(GoogleAdk("coroutines"))
def test_conformance(harness: GoogleAdk, case: Case, tmp_path: Path) -> None:
    check(case, harness, tmp_path)


@kit(GoogleAdk("coroutines"), GoogleAdk("functions"), GoogleAdk("streamed"), truthful=True)
def test_conformance_with_a_real_control_plane(
    harness: GoogleAdk, case: Case, tmp_path: Path, plane: RealPlane
) -> None:
    check(case, harness, tmp_path, plane)


async def test_a_real_control_plane_decides_and_signs(
    plane: RealPlane, settings: Settings, toolbox: Toolbox
) -> None:
    model = script(("c1", "lookup", QUERY), ("c2", "forbidden", QUERY))
    plugin = SentinelPlugin(settings)
    tools = [*toolbox.coroutines.values()]
    await run(LlmAgent(name="main", model=model, tools=tools), plugin)
    assert model.read["c1"] == {"result": "result of lookup: rust"}
    assert "Denied by policy: writes need an approval" in model.read["c2"]["error"]
    assert [each.tool for each in toolbox.started] == ["lookup"]
    signature = plugin.signature("c1")
    assert signature is not None
    verified = plane.ask("GET", f"/provenance/verify/{await signature}", "auditor")
    assert verified["verified"] is True
    assert plugin.signature("c2") is None


class Rewrites(BasePlugin):
    """A plugin that changes arguments in place."""

    def __init__(self) -> None:
        super().__init__(name="rewrites")

    async def before_tool_callback(self, *, tool: Any, tool_args: Any, tool_context: Any) -> None:
        tool_args["query"] = "other"


@pytest.mark.parametrize("first", [True, False])
async def test_a_plugin_that_changes_arguments(
    settings: Settings, toolbox: Toolbox, first: bool
) -> None:
    model = script(("c1", "lookup", QUERY))
    ours, theirs = SentinelPlugin(settings), Rewrites()
    plugins = (theirs, ours) if first else (ours, theirs)
    tools = [toolbox.coroutines["lookup"]]
    await run(LlmAgent(name="main", model=model, tools=[*tools]), *plugins)
    if first:
        # What it made of them is what was decided.
        assert model.read["c1"] == {"result": "result of lookup: other"}
    else:
        assert "arguments_changed" in text(model.read["c1"])
        assert toolbox.started == []


async def test_agents_that_are_reached_are_governed(settings: Settings, toolbox: Toolbox) -> None:
    """The plugin is the runner's: transfers and agents in tools are under it."""
    inner = script(("i1", "forbidden", QUERY))
    target = LlmAgent(
        name="target", description="t", model=inner, tools=[toolbox.coroutines["forbidden"]]
    )
    model = script(("c1", "transfer_to_agent", {"agent_name": "target"}))
    await run(LlmAgent(name="main", model=model, sub_agents=[target]), SentinelPlugin(settings))
    assert "Denied by policy" in text(inner.read["i1"])
    assert toolbox.started == []


@pytest.mark.parametrize("plugins", [True, False])
async def test_agents_in_tools(settings: Settings, toolbox: Toolbox, plugins: bool) -> None:
    inner = script(("i1", "forbidden", QUERY), ("i2", "lookup", QUERY))
    tools = [toolbox.coroutines["forbidden"], toolbox.coroutines["lookup"]]
    agent = LlmAgent(name="helper", description="h", model=inner, tools=[*tools])
    model = script(("c1", "helper", {"request": "x"}))
    tool = AgentTool(agent, include_plugins=plugins)
    sentinel = SentinelPlugin(settings, names={"helper": "lookup"})
    await run(LlmAgent(name="main", model=model, tools=[tool]), sentinel)
    if plugins:
        assert "Denied by policy" in text(inner.read["i1"])
        assert [each.tool for each in toolbox.started] == ["lookup"]
    else:
        assert "ungoverned_sub_agent" in text(model.read["c1"])
        assert toolbox.started == []


async def test_tools_of_the_provider_and_code_executors_end_the_run(settings: Settings) -> None:
    from google.adk.code_executors import UnsafeLocalCodeExecutor

    model = script()
    searches = LlmAgent(name="main", model=model, tools=[google_search])
    # The tool looks at the name of the model.
    model.model = "gemini-2.5-flash"
    with pytest.raises(RuntimeError, match="`google_search` cannot be governed"):
        await run(searches, SentinelPlugin(settings))
    codes = LlmAgent(name="main", model=script(), code_executor=UnsafeLocalCodeExecutor())
    with pytest.raises(RuntimeError, match="`code_execution` cannot be governed"):
        await run(codes, SentinelPlugin(settings))
    await run(codes, SentinelPlugin(settings, native={"code_execution"}))


async def test_a_tool_that_is_shared_with_another_runner_stays_what_it_was(
    settings: Settings, toolbox: Toolbox
) -> None:
    tool = FunctionTool(toolbox.coroutines["forbidden"])
    governed = script(("c1", "forbidden", QUERY))
    await run(LlmAgent(name="main", model=governed, tools=[tool]), SentinelPlugin(settings))
    assert "Denied by policy" in text(governed.read["c1"])
    other = script(("c1", "forbidden", QUERY))
    await run(
        LlmAgent(
            name="main",
            model=other,
            tools=[
                copy.deepcopy(tool),
            ],
        )
    )
    assert other.read["c1"] == {"result": "result of forbidden: rust"}


async def test_a_denial_stays_one_whatever_comes_after(
    settings: Settings, toolbox: Toolbox
) -> None:
    """After-callbacks fire for denied calls as well, and get what the model is to read."""
    seen: list[Any] = []

    def after(tool: Any, args: Any, tool_context: Any, tool_response: Any) -> None:
        seen.append(tool_response)

    model = script(("c1", "forbidden", QUERY))
    agent = LlmAgent(
        name="main",
        model=model,
        tools=[toolbox.coroutines["forbidden"]],
        after_tool_callback=after,
    )
    await run(agent, SentinelPlugin(settings))
    assert seen[0]["code"] == "policy_denied"
    assert toolbox.started == []


def test_the_example_of_the_guide(example: Callable[[str], str]) -> None:
    printed = example("adk_agent.py")
    assert "three pages about tracing" in printed
    assert "Denied because the tool is not registered" in printed
    assert "deleted" not in printed
