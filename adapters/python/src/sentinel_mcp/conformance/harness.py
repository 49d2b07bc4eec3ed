"""What an adapter's author writes: the framework with the adapter, and a scripted model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sentinel_mcp.conformance.cases import PlannedCall
    from sentinel_mcp.conformance.toolbox import Toolbox
    from sentinel_mcp.settings import Settings


class Session(Protocol):
    """An agent of the framework, governed by the adapter."""

    async def turn(self, calls: Sequence[PlannedCall]) -> Mapping[str, str]:
        """Let the scripted model make `calls`, all in one answer, and end after that.

        Returns what the model read of each call, by its `id`. When the framework ends the run in
        place of telling the model, the text of the error it ended with stands for what was read.
        Where a call has `changed_to`, something that the framework runs after the adapter changes
        the arguments to that. Is called from more than one event loop, one after the other.
        """


class Harness(Protocol):
    """A framework with an adapter."""

    @property
    def name(self) -> str:
        """Name of the framework."""

    @property
    def lacks(self) -> Mapping[str, str]:
        """What the framework cannot do, and why.

        `cancel`: a running tool can be cancelled. `parallel`: one answer of the model can have
        several calls. `changed_arguments`: something else can change the arguments of a call.
        """

    def open(self, toolbox: Toolbox, settings: Settings) -> Session:
        """Return an agent with the tools of `toolbox`, governed with these settings.

        The purpose of its calls is not stated, and their action is `call`.
        """
