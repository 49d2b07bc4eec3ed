"""Shell, patch and custom tools: decided when their approval is asked, compared where they run.

The SDK asks for no approval where a person has approved a tool for good, so what runs without a
ticket is decided right there.
"""

from __future__ import annotations

import copy
import inspect
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, cast

from agents import ApplyPatchTool, CustomTool, HostedMCPTool, LocalShellTool, ShellTool

from sentinel_mcp.errors import SentinelError
from sentinel_mcp.frameworks._gate import Pending, UngovernedToolError, object_of
from sentinel_mcp.frameworks.openai_agents.functions import PENDING, taken
from sentinel_mcp.plain import plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents import MCPToolApprovalRequest, RunContextWrapper, ToolApprovalItem
    from agents.editor import ApplyPatchOperation

    from sentinel_mcp.frameworks._gate import Gate
    from sentinel_mcp.ticket import Ticket

Native = ShellTool | ApplyPatchTool | CustomTool | LocalShellTool | HostedMCPTool
NATIVE: Final = (ShellTool, ApplyPatchTool, CustomTool, LocalShellTool, HostedMCPTool)
Approval = dict[str, Any] | None

_REFUSAL: ContextVar[SentinelError | None] = ContextVar("sentinel_mcp_refusal", default=None)


class _RefusedError(Exception):
    """What the model is to read: these tools show it the text of an exception."""


class Governed:
    """Marks what stands in the place of an executor, an editor or an approval."""


def is_governed(tool: Native) -> bool:
    """Whether a tool runs through us."""
    places = ("executor", "editor", "on_invoke_tool", "on_approval_request")
    return any(isinstance(getattr(tool, place, None), Governed) for place in places)


def governed_native(tool: Native, gate: Gate) -> Native:
    """Return a governed copy of a tool."""
    if isinstance(tool, HostedMCPTool):
        return _hosted_mcp(tool, gate)
    governed = copy.copy(tool)
    if isinstance(governed, LocalShellTool):
        governed.executor = _LocalShell(governed.executor, governed.name, gate)
        return governed
    asked = _Approvals(governed, gate)
    if isinstance(governed, ShellTool):
        if governed.executor is None:
            raise UngovernedToolError(f"`{tool.name}` runs on the side of the model's provider")
        governed.executor = _Shell(governed.executor, governed.name, gate)
    elif isinstance(governed, ApplyPatchTool):
        governed.editor = _Editor(governed.editor, governed.name, gate)
    else:
        governed.on_invoke_tool = _Custom(governed.on_invoke_tool, governed.name, gate)
    governed.needs_approval = asked.needed
    # `None` leaves it to a person, which the types of the SDK do not say.
    governed.on_approval = cast("Any", asked.given)
    return governed


class _Approvals:
    """Decides when the SDK asks whether a call needs an approval. Those of the user still count."""

    def __init__(self, tool: ShellTool | ApplyPatchTool | CustomTool, gate: Gate) -> None:
        self._name = tool.name
        self._needs: Any = tool.needs_approval
        self._gives: Any = tool.on_approval
        self._gate = gate

    async def needed(self, context: RunContextWrapper[Any], request: Any, call_id: str) -> bool:  # noqa: ANN401
        """Decide the call. A refusal becomes a denied approval, so that no hook sees a start."""
        _REFUSAL.set(None)
        try:
            ticket = await self._gate.decide(self._name, arguments_of(request), key=call_id)
        except SentinelError as error:
            _REFUSAL.set(error)
            return True
        _keep(request, call_id, ticket)
        needs = self._needs
        if callable(needs):
            needs = await _maybe(needs(context, request, call_id))
        return bool(needs)

    async def given(self, context: RunContextWrapper[Any], item: ToolApprovalItem) -> Approval:
        """Deny what was refused; else ask the user's callback, or leave it to a person."""
        error = _REFUSAL.get()
        if error is not None:
            return {"approve": False, "reason": error.model_message}
        if self._gives is None:
            return None
        approval: Approval = await _maybe(self._gives(context, item))
        return approval


class _Runs(Governed):
    """Runs what was decided."""

    def __init__(self, run: Callable[..., Any], name: str, gate: Gate) -> None:
        self._run = run
        self._name = name
        self._gate = gate

    async def _compared(
        self,
        request: Any,  # noqa: ANN401
        call_id: str,
        run: Callable[[], Any],
        ticket: Ticket | None = None,
    ) -> Any:  # noqa: ANN401
        name, arguments = self._name, arguments_of(request)
        try:
            ticket = ticket or await taken(self._gate, name, arguments, call_id)
            return await self._gate.run(
                ticket, name, arguments_of(request), lambda: _maybe(run()), key=call_id
            )
        except SentinelError as error:
            raise _RefusedError(error.model_message) from error


class _Shell(_Runs):
    async def __call__(self, request: Any) -> Any:  # noqa: ANN401
        data = request.data
        return await self._compared(data.action, data.call_id, lambda: self._run(request))


class _LocalShell(_Runs):
    async def __call__(self, request: Any) -> Any:  # noqa: ANN401
        data = request.data
        try:
            return await self._compared(data.action, data.call_id, lambda: self._run(request))
        except _RefusedError as error:
            # Here, an exception would end the run.
            return str(error)


class _Custom(_Runs):
    async def __call__(self, context: Any, text: str) -> Any:  # noqa: ANN401
        call_id = context.tool_call_id
        return await self._compared(text, call_id, lambda: self._run(context, text))


class _Editor(_Runs):
    """Governs each operation of a patch."""

    def __init__(self, editor: Any, name: str, gate: Gate) -> None:  # noqa: ANN401
        super().__init__(editor, name, gate)
        self._editor = editor

    async def create_file(self, operation: ApplyPatchOperation) -> Any:  # noqa: ANN401
        """Create a file."""
        return await self._operate(self._editor.create_file, operation)

    async def update_file(self, operation: ApplyPatchOperation) -> Any:  # noqa: ANN401
        """Change a file."""
        return await self._operate(self._editor.update_file, operation)

    async def delete_file(self, operation: ApplyPatchOperation) -> Any:  # noqa: ANN401
        """Delete a file."""
        return await self._operate(self._editor.delete_file, operation)

    async def _operate(self, operate: Callable[..., Any], operation: ApplyPatchOperation) -> Any:  # noqa: ANN401
        kept = _PATCH.get().pop(id(operation), None)
        call_id, ticket = (kept[1], kept[2]) if kept else ("", None)
        return await self._compared(operation, call_id, lambda: operate(operation), ticket)


# One call can have several operations, all of which are decided before the first one runs.
_PATCH: ContextVar[dict[int, tuple[object, str, Ticket]]] = ContextVar("sentinel_mcp_patch")


def _keep(request: object, call_id: str, ticket: Ticket) -> None:
    if not hasattr(request, "diff"):
        PENDING.set(Pending(call_id, ticket))
        return
    kept = _PATCH.get({})
    if any(other != call_id for _, other, _ in kept.values()):
        kept = {}
    # The operation is kept, so that its identity is not given to another.
    _PATCH.set({**kept, id(request): (request, call_id, ticket)})


def arguments_of(request: object) -> dict[str, Any]:
    """Return what a native call is about."""
    if isinstance(request, str):
        return {"input": request}
    if hasattr(request, "diff"):
        names: tuple[str, ...] = ("type", "path", "diff", "move_to")
    elif hasattr(request, "commands"):
        names = ("commands", "timeout_ms", "max_output_length")
    else:
        names = ("command", "env", "timeout_ms", "user", "working_directory")
    values = {name: plain(getattr(request, name, None)) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _hosted_mcp(tool: HostedMCPTool, gate: Gate) -> HostedMCPTool:
    governed = copy.copy(tool)
    asked = tool.tool_config.get("require_approval")
    if asked not in {None, "never"} and tool.on_approval_request is None:
        label = tool.tool_config.get("server_label")
        raise UngovernedToolError(
            f"a person approves the calls of the hosted MCP server `{label}`, and only "
            "`on_approval_request` can do so in a governed agent: set it"
        )
    governed.tool_config = {**tool.tool_config, "require_approval": "always"}
    governed.on_approval_request = _HostedMcp(tool, gate)
    return governed


class _HostedMcp(Governed):
    """Decides the calls of a server that the model's provider calls: decided, but not signed."""

    def __init__(self, tool: HostedMCPTool, gate: Gate) -> None:
        self._asks = tool.on_approval_request
        self._gate = gate

    async def __call__(self, request: MCPToolApprovalRequest) -> Any:  # noqa: ANN401
        data = request.data
        try:
            ticket = await self._gate.decide(data.name, object_of(data.arguments), key=data.id)
        except SentinelError as error:
            return {"approve": False, "reason": error.model_message}
        ticket.discard()
        if self._asks is None:
            return {"approve": True}
        return await _maybe(self._asks(request))


async def _maybe(value: Any) -> Any:  # noqa: ANN401
    return await value if inspect.isawaitable(value) else value
