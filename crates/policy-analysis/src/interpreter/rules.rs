//! The rules of a policy that decide, and how their values are read as a decision.

use std::sync::Arc;

use regorus::{Engine, LimitError, Value};
use sentinel_core::policy::{PolicyDecision, PolicyError};

use super::document;
use super::stack::guarded;

const DECISION: &str = "data.sentinel.policy.decision";
const ALLOW: &str = "data.sentinel.policy.allow";
const DENY_REASON: &str = "data.sentinel.policy.deny_reason";
const QUOTA_REMAINING: &str = "data.sentinel.policy.quota_remaining";

/// Which rules decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `data.sentinel.policy.decision`.
    Decision,
    /// `allow`, and `deny_reason` and `quota_remaining` where the policy defines them.
    Seed { deny_reason: bool, quota_remaining: bool },
}

/// The values of the rules that decide, for one input.
#[derive(Debug)]
pub enum RuleValues {
    Decision(Value),
    Seed { allow: Value, deny_reason: Value, quota_remaining: Value },
}

impl RuleValues {
    /// Evaluates the rules that decide on the input that was set.
    ///
    /// # Errors
    /// [`PolicyError::TimedOut`] at the limit of the engine, otherwise [`PolicyError::Failed`] with
    /// the place and without values of the input. The state of the engine is unknown afterwards.
    pub fn evaluate(engine: &mut Engine, shape: Shape) -> Result<Self, PolicyError> {
        guarded(|| within_stack(engine, shape))
    }

    /// Reads the values as a decision. `usage` is that of the input: what a policy of the seed's
    /// shape says to remain is added to it.
    ///
    /// # Errors
    /// As [`document::decision`].
    pub fn decision(&self, usage: u64, revision: &Arc<str>) -> Result<PolicyDecision, PolicyError> {
        match self {
            Self::Decision(document) => document::decision(document, revision),
            Self::Seed { allow, deny_reason, quota_remaining } => {
                document::seed_decision(allow, deny_reason, quota_remaining, usage, revision)
            }
        }
    }
}

fn within_stack(engine: &mut Engine, shape: Shape) -> Result<RuleValues, PolicyError> {
    let mut rule = |path: &str| engine.eval_rule(path.to_owned());
    let mut optional =
        |path: &str, defined: bool| if defined { rule(path) } else { Ok(Value::Undefined) };
    let values = match shape {
        Shape::Decision => optional(DECISION, true).map(RuleValues::Decision),
        Shape::Seed { deny_reason, quota_remaining } => optional(ALLOW, true).and_then(|allow| {
            let deny_reason = optional(DENY_REASON, deny_reason)?;
            let quota_remaining = optional(QUOTA_REMAINING, quota_remaining)?;
            Ok(RuleValues::Seed { allow, deny_reason, quota_remaining })
        }),
    };
    values.map_err(|error| match error.downcast_ref::<LimitError>() {
        Some(LimitError::TimeLimitExceeded { .. }) => PolicyError::TimedOut,
        _ => {
            let message = error.to_string();
            let timed_out = message.starts_with(TIMED_OUT);
            if timed_out { PolicyError::TimedOut } else { PolicyError::Failed(place(&message)) }
        }
    })
}

/// How the message of [`LimitError::TimeLimitExceeded`] begins: inside a function, the interpreter
/// turns the error into its text. No value can make another message begin so, since those begin
/// with the place in the policy.
const TIMED_OUT: &str = "execution exceeded time limit (elapsed=";

/// Where the interpreter failed, and no more: its messages repeat values, which may be secrets.
fn place(message: &str) -> String {
    match message.lines().find_map(|line| line.trim().strip_prefix("--> ")) {
        Some(place) => format!("at {place}; `sentinel policy eval` shows the error"),
        None => "`sentinel policy eval` shows the error".to_owned(),
    }
}
