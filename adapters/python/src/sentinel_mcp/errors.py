"""Why a tool did not run."""

from __future__ import annotations

from sentinel_mcp import wording


class SentinelError(Exception):
    """A tool did not run, or is not to be relied on, and this says why.

    `code` is stable and for programs, `reason` is for people, `model_message` is what a model is to
    read. `decision_id` names the recorded decision, if there is one.
    """

    def __init__(self, reason: str, code: str, decision_id: str | None = None) -> None:
        super().__init__(reason, code, decision_id)
        self.reason = reason
        self.code = code
        self.decision_id = decision_id

    def __str__(self) -> str:
        """Return the reason with its code and decision, for logs and people."""
        decision = f", decision {self.decision_id}" if self.decision_id else ""
        return f"{self.reason} (code {self.code}{decision})"

    @property
    def model_message(self) -> str:
        """The text for the model: the decision first, and what it may do instead."""
        return wording.denied(self.reason, self.code, self.decision_id)


class PolicyDenied(SentinelError):  # noqa: N818 - named in the contract of the adapters
    """The call was denied: by the control plane, or by a kill that is known here.

    `code` is one of docs/reason-codes.md, the code of a refusal of the control plane, or one of
    `arguments_changed`, `invalid_arguments`, `spool_full` and `ticket_spent`.
    """


class ControlPlaneUnavailable(SentinelError):  # noqa: N818
    """There is no decision, so the tool was not run.

    `code` is one of `unreachable`, `timeout`, `server_error`, `redirected`, `malformed_answer`,
    `answer_too_large`, `key_refused`, `throttled`, `check_failed` and `not_configured`.
    """

    @property
    def model_message(self) -> str:
        """The text for the model: that nothing ran, and what it may do instead."""
        return wording.unavailable(self.reason, self.code)
