"""What a model reads of a call that did not run.

Many clients put "please try again" around such a text, so it begins with the decision and says at
once whether repeating the call helps. Some search it for words by which they recognise other
failures (`AVOIDED`), so it contains none of them. The words are those of the gateway.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

AVOIDED: Final = ("not found", "unauthorized", "authentication")
_INSTEAD: Final = {
    "not found": "missing",
    "unauthorized": "not permitted",
    "authentication": "sign-in",
}
_AVOIDED: Final = re.compile("|".join(AVOIDED), re.IGNORECASE)
# Controls, line and paragraph separators, and lone surrogates, which no encoder takes.
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LONGEST_REASON: Final = 600
_LONGEST_CODE: Final = 100

_NEVER: Final = "Repeating this call will not help: do not retry it."
_LATER: Final = "Do not retry at once."
_SOON: Final = "It may work in a minute; go on with something else until then."
_ADMINISTRATOR: Final = "Tell the user: an administrator has to look at the policy."
_LIST: Final = "Use a tool of the current list."
_KEY: Final = "Tell the user: the key of this client does not permit it."
_REVIEW: Final = "Go on without this tool, or ask the user to have an operator review it."


class _Words(NamedTuple):
    lead: str
    remedy: str
    again: str = _NEVER


_OTHER: Final = _Words("Denied", "Go on without it, or ask a person who administers Sentinel.")

_WORDS: Final[dict[str, _Words]] = {
    "policy_denied": _Words(
        "Denied by policy",
        "Take another way that the policy allows, or ask the user to have it changed.",
    ),
    "no_policy": _Words("Denied because no policy is loaded", _ADMINISTRATOR),
    "policy_undefined": _Words("Denied because the policy does not cover it", _ADMINISTRATOR),
    "policy_error": _Words("Denied because the policy failed", _ADMINISTRATOR),
    "policy_malformed": _Words("Denied because the policy gave no decision", _ADMINISTRATOR),
    "unknown_obligation": _Words(
        "Denied because of a condition that cannot be met", _ADMINISTRATOR
    ),
    "policy_timeout": _Words(
        "Denied because the policy took too long",
        "Simpler arguments may help; else tell the user.",
        _LATER,
    ),
    "policy_unavailable": _Words(
        "Denied because the policy cannot be asked at the moment", _SOON, _LATER
    ),
    "policy_circuit_open": _Words(
        "Denied because the policy cannot be asked at the moment", _SOON, _LATER
    ),
    "quota_exceeded": _Words(
        "Denied by a quota",
        "Go on without this tool, or ask the user to have the quota raised.",
        _LATER,
    ),
    "rate_limited": _Words("Denied by a rate limit", "Make fewer calls of this tool.", _LATER),
    "rate_limiter_unavailable": _Words(
        "Denied because a rate limit cannot be counted at the moment", _SOON, _LATER
    ),
    "killed": _Words(
        "Stopped by an operator",
        "Stop this line of work and tell the user; only an operator can lift it.",
    ),
    "unknown_tool": _Words("Denied because the tool is not registered", _LIST),
    "tool_retired": _Words("Denied because the tool was retired", _LIST),
    "upstream_removed": _Words("Denied because the server of the tool was removed", _LIST),
    "unknown_tenant": _Words("Denied because the tenant is not known", _KEY),
    "tenant_forbidden": _Words("Denied to this key", _KEY),
    "agent_forbidden": _Words("Denied to this key", _KEY),
    "key_revoked": _Words("Denied because the key was revoked", _KEY),
    "agent_required": _Words(
        "Denied because the call names no agent",
        "Tell the user: the client has to be configured with the name of its agent.",
    ),
    "tool_drift": _Words("Denied because the tool has changed since it was approved", _REVIEW),
    "tool_unapproved": _Words("Denied because the tool is not approved yet", _REVIEW),
    "call_id_spent": _Words(
        "Denied because this call was made before", "Use the result of the first call."
    ),
    "call_id_conflict": _Words(
        "Denied because another call was made under its identifier",
        "Tell the user: the identifiers of calls are not unique.",
    ),
    "arguments_changed": _Words(
        "Denied because the arguments changed after they were decided",
        "Tell the user: something in the agent changes calls after they were allowed.",
    ),
    "invalid_arguments": _Words(
        "Denied because the arguments are malformed", "Correct the arguments."
    ),
    "ticket_spent": _Words(
        "Denied because this call was made before", "Use the result of the first call."
    ),
    "no_permit": _Words(
        "Denied because the call bypassed Sentinel",
        "Tell the user: the tool can be called only through Sentinel.",
    ),
    "permit_used": _Words(
        "Denied because this call was made before", "Use the result of the first call."
    ),
    "permit_invalid": _Words(
        "Denied because the permit is not one for this call",
        "Tell the user: the call that reached the tool is not the one that was allowed.",
    ),
    "spool_full": _Words(
        "Denied because no more signatures can be kept",
        "Tell the user: Sentinel has not signed for a while, and its spool is full.",
    ),
}


def denied(reason: str, code: str, decision_id: str | None) -> str:
    """Return the text for a denial."""
    words = _WORDS.get(code, _OTHER)
    decision = f", decision {plain(decision_id, _LONGEST_CODE)}" if decision_id else ""
    code = plain(code, _LONGEST_CODE)
    why = plain(reason)
    return f"{words.lead}: {why}. {words.again} {words.remedy} (code {code}{decision})"


def unavailable(reason: str, code: str) -> str:
    """Return the text for a call that nobody could decide."""
    code = plain(code, _LONGEST_CODE)
    return (
        f"Denied because Sentinel could not decide it: {plain(reason)}. The tool was not run. "
        f"{_LATER} {_SOON} (code {code})"
    )


def plain(text: str, longest: int = _LONGEST_REASON) -> str:
    """Return a text bounded, on one line, without words that clients would misread."""
    text = _UNPRINTABLE.sub(" ", text)[:longest]
    # Replacing one may bring another about.
    while _AVOIDED.search(text):
        text = _AVOIDED.sub(lambda found: _INSTEAD[found[0].lower()], text)
    return text.strip().rstrip(".")
