"""The adapter for the OpenAI Agents SDK with the real package and a real control plane."""

from __future__ import annotations

import asyncio
import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from agents import (
    Agent,
    AgentHooks,
    ApplyPatchTool,
    CustomTool,
    FunctionTool,
    HostedMCPTool,
    LocalShellTool,
    RunConfig,
    RunHooks,
    Runner,
    ShellTool,
    ToolGuardrailFunctionOutput,
    ToolInputGuardrail,
    WebSearchTool,
    function_tool,
    handoff,
    set_tracing_disabled,
)
from agents.mcp import MCPServer
from agents.testing import ScriptedModel, assistant_message, function_call
from mcp.types import CallToolResult, Tool
from openai.types.responses import ResponseCustomToolCall
from openai.types.responses.response_output_item import (
    LocalShellCall,
    McpApprovalRequest,
    ResponseFunctionShellToolCall,
)
from sentinel_mcp.conformance import Case, PlannedCall, RealPlane, Toolbox, cases, check
from sentinel_mcp.frameworks.openai_agents import SentinelHooks, UngovernedToolError, govern

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from sentinel_mcp import Settings

set_tracing_disabled(disabled=True)
DONE = [assistant_message("done")]
QUERY = {"query": "rust"}


def script(*calls: tuple[str, str, dict[str, Any]]) -> ScriptedModel:
    """Return a model that makes calls, and is done."""
    return ScriptedModel([[function_call(n, a, call_id=i) for i, n, a in calls], DONE])


def outputs(model: ScriptedModel) -> dict[str, str]:
    """Return what the model read of its calls."""
    call = model.last_call
    items = call.input if call is not None and not isinstance(call.input, str) else []
    return {
        item["call_id"]: item["output"]
        if isinstance(item["output"], str)
        else json.dumps(item["output"])
        for item in items
        if str(item.get("type", "")).endswith("_output")
    }


def changing(calls: Sequence[PlannedCall]) -> ToolInputGuardrail[Any]:
    """Return a guardrail that comes after ours and changes calls."""
    changes = {call.id: call.changed_to for call in calls if call.changed_to is not None}

    def change(data: Any) -> ToolGuardrailFunctionOutput:
        arguments = changes.get(data.context.tool_call_id)
        if arguments is not None:
            data.context.tool_call.arguments = json.dumps(arguments)
        return ToolGuardrailFunctionOutput.allow()

    return ToolInputGuardrail(guardrail_function=change, name="changing")


class AgentSession:
    """A governed agent with function tools."""

    def __init__(self, toolbox: Toolbox, settings: Settings, way: str) -> None:
        pick = toolbox.functions if way == "functions" else toolbox.coroutines
        self._way = way
        self._settings = settings
        self._tools = [function_tool(each) for each in pick.values()]

    async def turn(self, calls: Sequence[PlannedCall]) -> Mapping[str, str]:
        model = script(*[(c.id, c.tool, c.arguments) for c in calls])
        agent = govern(self._agent(model), self._settings)
        for tool in agent.tools:
            if isinstance(tool, FunctionTool):
                tool.tool_input_guardrails = [*(tool.tool_input_guardrails or ()), changing(calls)]
        try:
            if self._way == "streamed":
                run = Runner.run_streamed(agent, "go", hooks=SentinelHooks())
                async for _ in run.stream_events():
                    pass
            else:
                await Runner.run(agent, "go", hooks=SentinelHooks())
        except Exception as error:  # noqa: BLE001 - the kit judges it
            return {call.id: str(error) for call in calls}
        return outputs(model)

    def _agent(self, model: ScriptedModel) -> Agent[Any]:
        return Agent("main", tools=list(self._tools), model=model)


class Server(MCPServer):
    """An MCP server in the process."""

    def __init__(self, toolbox: Toolbox) -> None:
        super().__init__()
        self._tools = toolbox.coroutines

    @property
    def name(self) -> str:
        return "server"

    async def connect(self) -> None: ...
    async def cleanup(self) -> None: ...
    async def list_prompts(self) -> Any: ...
    async def get_prompt(self, name: str, arguments: Any = None) -> Any: ...

    async def list_tools(self, *_: Any, **__: Any) -> list[Tool]:
        schema = {"type": "object", "properties": {"query": {"type": "string"}}}
        return [Tool.model_validate({"name": n, "inputSchema": schema}) for n in self._tools]

    async def call_tool(self, tool_name: str, arguments: Any, meta: Any = None) -> CallToolResult:
        text = await self._tools[tool_name](**arguments)
        return CallToolResult.model_validate({"content": [{"type": "text", "text": text}]})


class ServerSession(AgentSession):
    """A governed agent with the tools of an MCP server."""

    def __init__(self, toolbox: Toolbox, settings: Settings, way: str) -> None:
        super().__init__(toolbox, settings, way)
        self._server = Server(toolbox)

    def _agent(self, model: ScriptedModel) -> Agent[Any]:
        return Agent("main", mcp_servers=[self._server], model=model)


class OpenAIAgents:
    """The framework, used in one way."""

    def __init__(self, way: str, session: type[AgentSession] = AgentSession) -> None:
        self.name = f"openai-agents {way} {session.__name__}"
        self.lacks: dict[str, str] = {}
        if session is ServerSession:
            self.lacks["changed_arguments"] = "tested by itself below"
        self._way = way
        self._session = session

    def open(self, toolbox: Toolbox, settings: Settings) -> AgentSession:
        return self._session(toolbox, settings, self._way)


def kit(*harnesses: OpenAIAgents, truthful: bool = False) -> Any:
    """Return the cases of the kit for some ways to use the framework."""
    params = [(h, case) for h in harnesses for case in cases(h.lacks, truthful=truthful)]
    names = [f"{h.name}-{c}".replace(" ", "-") for h, c in params]
    return pytest.mark.parametrize(("harness", "case"), params, ids=names)


@kit(OpenAIAgents("coroutines"))
def test_conformance(harness: OpenAIAgents, case: Case, tmp_path: Path) -> None:
    check(case, harness, tmp_path)


@kit(
    OpenAIAgents("coroutines"),
    OpenAIAgents("functions"),
    OpenAIAgents("streamed"),
    OpenAIAgents("coroutines", ServerSession),
    truthful=True,
)
def test_conformance_with_a_real_control_plane(
    harness: OpenAIAgents, case: Case, tmp_path: Path, plane: RealPlane
) -> None:
    check(case, harness, tmp_path, plane)


async def run(agent: Agent[Any], settings: Settings, **more: Any) -> Any:
    """Run a governed copy of an agent."""
    return await Runner.run(govern(agent, settings), "go", hooks=SentinelHooks(), **more)


async def test_a_real_control_plane_decides_and_signs(
    plane: RealPlane, settings: Settings, toolbox: Toolbox
) -> None:
    from sentinel_mcp.frameworks._gate import Gate

    gate = Gate(settings)
    model = script(("c1", "lookup", QUERY), ("c2", "forbidden", QUERY))
    tools = [function_tool(each) for each in toolbox.coroutines.values()]
    agent = Agent("main", tools=tools, model=model)
    await Runner.run(govern(agent, gate=gate), "go")
    read = outputs(model)
    assert read["c1"] == "result of lookup: rust"
    assert "Denied by policy: writes need an approval" in read["c2"]
    assert [each.tool for each in toolbox.started] == ["lookup"]
    signature = gate.signature("c1")
    assert signature is not None
    verified = plane.ask("GET", f"/provenance/verify/{await signature}", "auditor")
    assert verified["verified"] is True


async def test_the_agent_is_not_mutated(settings: Settings, toolbox: Toolbox) -> None:
    tool = function_tool(toolbox.coroutines["forbidden"])
    inner = Agent("inner", tools=[tool])
    server = Server(toolbox)
    agent = Agent("main", tools=[tool], handoffs=[inner], mcp_servers=[server])
    governed = govern(agent, settings)
    assert tool.tool_input_guardrails is None
    assert (agent.tools, agent.handoffs, agent.hooks) == ([tool], [inner], None)
    assert inner.tools == [tool]
    assert server.tool_input_guardrails is None
    assert govern(governed, settings) is governed


@pytest.mark.parametrize("kind", ["agent", "object"])
async def test_handoffs_are_governed(settings: Settings, toolbox: Toolbox, kind: str) -> None:
    target_model = script(("i1", "forbidden", QUERY), ("i2", "lookup", QUERY))
    tools = [function_tool(each) for each in toolbox.coroutines.values()]
    target = Agent("target", tools=tools, model=target_model)
    model = script(("c1", "transfer_to_target", {}))
    agent = Agent("main", handoffs=[target if kind == "agent" else handoff(target)], model=model)
    target.handoffs = [agent]  # Back again: each agent is visited once.
    result = await run(agent, settings)
    assert result.last_agent.name == "target"
    read = outputs(target_model)
    assert "Denied by policy" in read["i1"]
    assert read["i2"] == "result of lookup: rust"
    assert [each.tool for each in toolbox.started] == ["lookup"]


async def test_agents_as_tools_are_governed(settings: Settings, toolbox: Toolbox) -> None:
    inner_model = script(("i1", "forbidden", QUERY), ("i2", "lookup", QUERY))
    tools = [function_tool(each) for each in toolbox.coroutines.values()]
    inner = Agent("inner", tools=tools, model=inner_model)
    model = script(("c1", "ask", {"input": "q"}))
    agent = Agent("main", tools=[inner.as_tool("ask", "Ask.")], model=model)
    governed = govern(agent, settings, names={"ask": "lookup"})
    await Runner.run(governed, "go", hooks=SentinelHooks())
    assert outputs(model)["c1"] == "done"
    assert "Denied by policy" in outputs(inner_model)["i1"]
    assert [each.tool for each in toolbox.started] == ["lookup"]
    assert inner.tools == tools


async def test_an_agent_as_tool_is_itself_decided(settings: Settings, toolbox: Toolbox) -> None:
    inner_model = script(("i1", "lookup", QUERY))
    inner = Agent("inner", tools=[function_tool(toolbox.coroutines["lookup"])], model=inner_model)
    model = script(("c1", "forbidden", {"input": "q"}))
    agent = Agent("main", tools=[inner.as_tool("forbidden", "Ask.")], model=model)
    await run(agent, settings)
    assert "Denied by policy" in outputs(model)["c1"]
    assert inner_model.calls == ()


async def test_an_agent_in_a_tool_that_cannot_be_reached_is_refused(settings: Settings) -> None:
    tool = Agent("inner").as_tool("ask", "Ask.")

    async def opaque(context: Any, text: str) -> str:
        return text

    tool.on_invoke_tool = opaque
    with pytest.raises(UngovernedToolError, match=r"govern\(agent\)\.as_tool"):
        govern(Agent("main", tools=[tool]), settings)


async def test_a_tool_that_a_hook_adds_is_stopped(settings: Settings, toolbox: Toolbox) -> None:
    extra = function_tool(toolbox.coroutines["lookup"])

    class Adds(AgentHooks[Any]):
        async def on_start(self, context: Any, agent: Any) -> None:
            agent.tools = [*agent.tools, extra]

    model = script(("c1", "lookup", QUERY))
    agent = govern(Agent("main", model=model, hooks=Adds()), settings)
    # Without hooks of the run: those of the agent are enough.
    with pytest.raises(UngovernedToolError, match="`lookup` is not governed"):
        await Runner.run(agent, "go")
    assert toolbox.started == []


async def test_an_agent_that_was_not_governed_is_stopped_by_the_hooks_of_the_run(
    toolbox: Toolbox,
) -> None:
    tool = function_tool(toolbox.coroutines["lookup"])
    agent = Agent("main", tools=[tool], model=script(("c1", "lookup", QUERY)))
    with pytest.raises(UngovernedToolError):
        await Runner.run(agent, "go", hooks=SentinelHooks())
    assert toolbox.started == []


async def test_hooks_of_the_user_are_told(settings: Settings, toolbox: Toolbox) -> None:
    told: list[str] = []

    class Tells(RunHooks[Any]):
        async def on_agent_start(self, *_: Any) -> None:
            told.append("agent_start")

        async def on_llm_start(self, *_: Any) -> None:
            told.append("llm_start")

        async def on_tool_start(self, *_: Any) -> None:
            told.append("tool_start")

        async def on_tool_end(self, *_: Any) -> None:
            told.append("tool_end")

        async def on_agent_end(self, *_: Any) -> None:
            told.append("agent_end")

    class TellsOfAgent(AgentHooks[Any]):
        async def on_start(self, *_: Any) -> None:
            told.append("start")

        async def on_end(self, *_: Any) -> None:
            told.append("end")

    tools = [function_tool(toolbox.coroutines["lookup"])]
    model = script(("c1", "lookup", QUERY))
    agent = govern(Agent("main", tools=tools, model=model, hooks=TellsOfAgent()), settings)
    await Runner.run(agent, "go", hooks=SentinelHooks(Tells()))
    assert sorted(set(told)) == sorted(
        ["agent_start", "llm_start", "tool_start", "tool_end", "agent_end", "start", "end"]
    )


async def test_a_denied_call_starts_no_tool_for_hooks(settings: Settings, toolbox: Toolbox) -> None:
    started: list[str] = []

    class Tells(RunHooks[Any]):
        async def on_tool_start(self, context: Any, agent: Any, tool: Any) -> None:
            started.append(tool.name)

    model = script(("c1", "forbidden", QUERY))
    tools = [function_tool(toolbox.coroutines["forbidden"])]
    agent = govern(Agent("main", tools=tools, model=model), settings)
    await Runner.run(agent, "go", hooks=SentinelHooks(Tells()))
    assert started == []


@pytest.mark.parametrize("arguments", ['{"query": 1', "[]", '{"query": "a", "query": "b"}'])
async def test_arguments_that_are_not_one_object_do_not_run(
    settings: Settings, toolbox: Toolbox, arguments: str
) -> None:
    model = ScriptedModel([[function_call("lookup", arguments, call_id="c1")], DONE])
    tools = [function_tool(toolbox.coroutines["lookup"])]
    await run(Agent("main", tools=tools, model=model), settings)
    assert "invalid_arguments" in outputs(model)["c1"]
    assert toolbox.started == []


async def test_a_tool_of_ones_own_kind_is_compared(settings: Settings) -> None:
    ran: list[str] = []

    async def invoke(context: Any, text: str) -> str:
        ran.append(text)
        return "raw"

    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    tool = FunctionTool("lookup", "Look up.", schema, invoke)
    planned = PlannedCall("c1", "lookup", {}, changed_to={"query": "other"})
    model = ScriptedModel(
        [
            [function_call("lookup", {}, call_id="c1")],
            [function_call("lookup", {}, call_id="c2")],
            DONE,
        ]
    )
    agent = govern(Agent("main", tools=[tool], model=model), settings)
    governed = agent.tools[0]
    assert isinstance(governed, FunctionTool)
    governed.tool_input_guardrails = [*(governed.tool_input_guardrails or ()), changing([planned])]
    await Runner.run(agent, "go")
    assert "arguments_changed" in outputs(model)["c1"]
    assert (outputs(model)["c2"], ran) == ("raw", ["{}"])


async def test_a_guardrail_that_is_taken_away_leaves_the_decision(
    settings: Settings, toolbox: Toolbox
) -> None:
    model = script(("c1", "forbidden", QUERY))
    tools = [function_tool(toolbox.coroutines["forbidden"])]
    agent = govern(Agent("main", tools=tools, model=model), settings)
    governed = agent.tools[0]
    assert isinstance(governed, FunctionTool)
    governed.tool_input_guardrails = []
    agent.hooks = None
    await Runner.run(agent, "go")
    assert "Denied by policy" in outputs(model)["c1"]
    assert toolbox.started == []


@pytest.mark.parametrize("approve", [True, False])
async def test_an_approval_by_a_person_comes_before_the_tool(
    settings: Settings, toolbox: Toolbox, approve: bool
) -> None:
    tool = function_tool(toolbox.coroutines["lookup"], needs_approval=True)
    model = script(("c1", "lookup", QUERY))
    agent = govern(Agent("main", tools=[tool], model=model), settings)
    first = await Runner.run(agent, "go")
    assert toolbox.started == []
    state = first.to_state()
    decide = state.approve if approve else state.reject
    decide(first.interruptions[0])
    await Runner.run(agent, state)
    assert [each.tool for each in toolbox.started] == (["lookup"] if approve else [])


async def test_a_server_that_sends_something_else_is_stopped(
    settings: Settings, toolbox: Toolbox
) -> None:
    """A resolver of metadata runs between the decision and the request, and gets a copy."""
    model = script(("c1", "server__lookup", QUERY), ("c2", "server__forbidden", QUERY))
    server = Server(toolbox)
    agent = Agent(
        "main",
        mcp_servers=[server],
        mcp_config={"include_server_in_tool_names": True},
        model=model,
    )
    probe = await agent.get_mcp_tools(None)  # type: ignore[arg-type]
    names = {tool.name: tool.name.rsplit("_", 1)[-1] for tool in probe}
    first, second = (n for n in names if n.endswith(("lookup", "forbidden")))
    order = sorted([first, second], key=lambda n: not n.endswith("lookup"))
    model = script(("c1", order[0], QUERY), ("c2", order[1], QUERY))
    agent = agent.clone(model=model)
    governed = govern(agent, settings, names=names)
    await Runner.run(governed, "go")
    read = outputs(model)
    assert "result of lookup: rust" in read["c1"]
    assert "Denied by policy" in read["c2"]


async def test_a_governed_server_that_is_called_directly_is_decided(
    settings: Settings, toolbox: Toolbox
) -> None:
    agent = govern(Agent("main", mcp_servers=[Server(toolbox)]), settings)
    result = await agent.mcp_servers[0].call_tool("forbidden", QUERY)
    assert "Denied by policy" in str(result)
    assert toolbox.started == []
    result = await agent.mcp_servers[0].call_tool("lookup", QUERY)
    assert "result of lookup: rust" in str(result)
    assert agent.mcp_servers[0].name == "server"


def shell_call(call_id: str, *commands: str) -> ResponseFunctionShellToolCall:
    return ResponseFunctionShellToolCall.model_validate(
        {
            "type": "shell_call",
            "id": f"id-{call_id}",
            "call_id": call_id,
            "action": {"commands": list(commands), "timeout_ms": 1000, "max_output_length": None},
            "environment": None,
            "status": "completed",
        }
    )


def patch_call(call_id: str, path: str) -> dict[str, Any]:
    operation = {"type": "create_file", "path": path, "diff": "+x"}
    return {"type": "apply_patch_call", "call_id": call_id, "operation": operation}


class Editor:
    """An editor that only records."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    def create_file(self, operation: Any) -> str:
        self.paths.append(operation.path)
        return "created"

    update_file = delete_file = create_file


def native_tools(name: str) -> tuple[dict[str, Any], list[Any]]:
    """Return each kind of native tool under a name, and what they were asked to run."""
    ran: list[Any] = []

    def local(request: Any) -> str:
        ran.append(request.data.action.command)
        return "local output"

    async def shell(request: Any) -> str:
        ran.append(request.data.action.commands)
        return "shell output"

    async def custom(context: Any, text: str) -> str:
        ran.append(text)
        return "custom output"

    editor = Editor()
    editor.paths = ran
    tools = {
        "shell": ShellTool(shell, name=name),
        "patch": ApplyPatchTool(editor, name=name),
        "custom": CustomTool(name, "Custom.", custom),
        "local": LocalShellTool(local),
    }
    return tools, ran


def native_call(kind: str, name: str) -> Any:
    """Return a call of a native tool."""
    if kind == "shell":
        return shell_call("c1", "ls")
    if kind == "patch":
        return patch_call("c1", "a.txt")
    if kind == "custom":
        return ResponseCustomToolCall(
            type="custom_tool_call", call_id="c1", name=name, input="text"
        )
    action = {"type": "exec", "command": ["ls"], "env": {}}
    return LocalShellCall.model_validate(
        {
            "type": "local_shell_call",
            "id": "l1",
            "call_id": "c1",
            "status": "completed",
            "action": action,
        }
    )


@pytest.mark.parametrize("kind", ["shell", "patch", "custom", "local"])
@pytest.mark.parametrize("allowed", [True, False])
async def test_native_tools(settings: Settings, kind: str, allowed: bool) -> None:
    name = "lookup" if allowed else "forbidden"
    tools, ran = native_tools(name)
    model = ScriptedModel([[native_call(kind, name)], DONE])
    agent = Agent("main", tools=[tools[kind]], model=model)
    governed = govern(agent, settings, names={"local_shell": name})
    await Runner.run(governed, "go", hooks=SentinelHooks())
    read = outputs(model)["c1"]
    if allowed:
        assert len(ran) == 1
        assert "Denied" not in read
    else:
        assert ran == []
        assert "Denied by policy: writes need an approval" in read


async def test_a_shell_that_a_person_approved_for_good_is_still_decided(
    settings: Settings,
) -> None:
    tools, ran = native_tools("forbidden")
    shell = tools["shell"]
    shell.needs_approval = True
    model = ScriptedModel([[shell_call("c1", "ls")], [shell_call("c2", "ls")], DONE])
    agent = govern(
        Agent("main", tools=[shell], model=model), settings, names={"forbidden": "lookup"}
    )
    first = await Runner.run(agent, "go")
    assert ran == []
    state = first.to_state()
    state.approve(first.interruptions[0], always_approve=True)
    agent.tools[0].executor._gate._names = None  # type: ignore[union-attr] # From now on, it is denied.
    await Runner.run(agent, state)
    assert ran == []
    assert "Denied by policy" in outputs(model)["c1"]
    assert "Denied by policy" in outputs(model)["c2"]


@pytest.mark.parametrize("approves", [True, False])
async def test_the_approval_callback_of_the_user_still_counts(
    settings: Settings, approves: bool
) -> None:
    tools, ran = native_tools("lookup")
    shell = tools["shell"]
    shell.needs_approval = lambda context, action, call_id: "ls" in action.commands
    shell.on_approval = lambda context, item: {"approve": approves, "reason": "the user said no"}
    model = ScriptedModel([[shell_call("c1", "ls")], DONE])
    await run(Agent("main", tools=[shell], model=model), settings)
    assert len(ran) == (1 if approves else 0)
    assert ("the user said no" in outputs(model)["c1"]) is not approves


def hosted_request(name: str) -> McpApprovalRequest:
    return McpApprovalRequest(
        id="m1", type="mcp_approval_request", server_label="docs", name=name, arguments='{"q": 1}'
    )


@pytest.mark.parametrize(("name", "approved"), [("lookup", True), ("forbidden", False)])
@pytest.mark.parametrize("user", [None, True, False])
async def test_hosted_mcp_is_decided_by_approval(
    settings: Settings, name: str, approved: bool, user: bool | None
) -> None:
    config = {"type": "mcp", "server_label": "docs", "server_url": "https://docs.example"}
    tool = HostedMCPTool(tool_config=config)  # type: ignore[arg-type]
    if user is not None:
        tool.on_approval_request = lambda request: {"approve": user, "reason": "no"}
    model = ScriptedModel([[hosted_request(name)], DONE])
    agent = govern(Agent("main", tools=[tool], model=model), settings)
    assert agent.tools[0].tool_config["require_approval"] == "always"  # type: ignore[union-attr]
    await Runner.run(agent, "go", hooks=SentinelHooks())
    call = model.last_call
    assert call is not None
    response = next(i for i in call.input if i.get("type") == "mcp_approval_response")
    assert response["approve"] is (approved and user is not False)
    if not approved:
        assert "Denied by policy" in response["reason"]


def test_a_hosted_mcp_server_that_a_person_approves_is_refused(settings: Settings) -> None:
    config = {"type": "mcp", "server_label": "docs", "require_approval": "always"}
    with pytest.raises(UngovernedToolError, match="on_approval_request"):
        govern(Agent("main", tools=[HostedMCPTool(tool_config=config)]), settings)  # type: ignore[arg-type]


def test_hosted_tools_are_refused_unless_named(settings: Settings) -> None:
    agent = Agent("main", tools=[WebSearchTool()])
    with pytest.raises(UngovernedToolError, match="web_search"):
        govern(agent, settings)
    assert govern(agent, settings, hosted={"web_search"}).tools == agent.tools
    hosted_shell = ShellTool(environment={"type": "container_auto"})
    with pytest.raises(UngovernedToolError, match="shell"):
        govern(Agent("main", tools=[hosted_shell]), settings)


async def test_a_hosted_tool_that_a_hook_adds_is_stopped_before_the_model(
    settings: Settings,
) -> None:
    class Adds(AgentHooks[Any]):
        async def on_start(self, context: Any, agent: Any) -> None:
            agent.tools = [*agent.tools, WebSearchTool()]

    model = ScriptedModel([DONE])
    agent = govern(Agent("main", model=model, hooks=Adds()), settings)
    with pytest.raises(UngovernedToolError, match="web_search"):
        await Runner.run(agent, "go")
    assert model.calls == ()


async def test_pre_approval_guardrails_and_timeouts_work(
    settings: Settings, toolbox: Toolbox
) -> None:
    tool = function_tool(toolbox.coroutines["wait"], timeout=0.2)
    model = script(("c1", "wait", QUERY))
    await run(Agent("main", tools=[tool], model=model), settings, run_config=RunConfig())
    assert "timed out" in outputs(model)["c1"]
    assert [each.tool for each in toolbox.cancelled] == ["wait"]


def test_a_governed_agent_can_be_copied(settings: Settings, toolbox: Toolbox) -> None:
    model = script(("c1", "forbidden", QUERY))
    tools = [function_tool(toolbox.coroutines["forbidden"])]
    agent = govern(Agent("main", tools=tools, model=model), settings)
    again = agent.clone(tools=[copy.copy(agent.tools[0])])
    asyncio.run(Runner.run(again, "go"))
    assert "Denied by policy" in outputs(model)["c1"]
    assert toolbox.started == []


def test_the_example_of_the_guide(example: Callable[[str], str]) -> None:
    printed = example("openai_agent.py")
    assert "three pages about tracing" in printed
    assert "Denied because the tool is not registered" in printed
    assert "deleted" not in printed
