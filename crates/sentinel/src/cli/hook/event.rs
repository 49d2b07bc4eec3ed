//! The events that Claude Code writes to its hooks, as far as they matter here.

use std::io::Read;

use sentinel_core::json::{self, JsonError, Limits};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Bytes of the longest event that is read. The results of tools can be large.
const MAX_EVENT: usize = 32 << 20;
/// What an event may hold.
const LIMITS: Limits = Limits {
    max_bytes: MAX_EVENT,
    max_depth: 128,
    max_nodes: 1_000_000,
    max_string_bytes: MAX_EVENT,
    max_key_bytes: 64 * 1024,
};

/// One event. Fields that are not named here are ignored: newer versions add some.
#[derive(Debug, Deserialize)]
pub(super) struct Event {
    #[serde(rename = "hook_event_name")]
    pub(super) name: Name,
    pub(super) session_id: String,
    pub(super) tool_name: String,
    pub(super) tool_input: Map<String, Value>,
    pub(super) tool_use_id: String,
    /// Of `PostToolUse`.
    #[serde(default)]
    pub(super) tool_response: Value,
    /// Of `PostToolUseFailure`.
    #[serde(default)]
    pub(super) error: Value,
    #[serde(default)]
    pub(super) is_interrupt: bool,
    /// The sub-agent that calls; absent for the main agent.
    #[serde(default)]
    pub(super) agent_type: Option<String>,
}

/// The events that are governed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Name {
    PreToolUse,
    /// A shell command in the text of a skill, which no `PreToolUse` announces.
    PreSkillShellCommand,
    PostToolUse,
    PostToolUseFailure,
}

impl Name {
    /// As Claude Code writes it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::PreToolUse => "PreToolUse",
            Self::PreSkillShellCommand => "PreSkillShellCommand",
            Self::PostToolUse => "PostToolUse",
            Self::PostToolUseFailure => "PostToolUseFailure",
        }
    }

    /// Whether the call is still to be made.
    pub(super) const fn is_before(self) -> bool {
        matches!(self, Self::PreToolUse | Self::PreSkillShellCommand)
    }
}

/// Why standard input is not an event that is governed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("cannot read the hook event from standard input: {0}")]
    Input(#[from] std::io::Error),
    #[error("standard input is not a tool event of Claude Code: {0}")]
    Malformed(#[from] JsonError),
}

impl Event {
    /// Reads the one event of `input`. Duplicate keys are refused: the agent and this must not
    /// read different values.
    pub(super) fn read(input: impl Read) -> Result<Self, Unreadable> {
        let mut bytes = Vec::new();
        // One byte more than the limit shows that the event is too long.
        input.take(MAX_EVENT as u64 + 1).read_to_end(&mut bytes)?;
        Ok(json::parse_object_as(&bytes, &LIMITS)?)
    }
}
