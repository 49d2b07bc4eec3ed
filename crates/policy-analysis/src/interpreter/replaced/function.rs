//! What all functions of our own have in common.

use regorus::Value;

/// What a function of our own does not do.
#[derive(Debug, thiserror::Error)]
#[error("`{function}`: {why}")]
pub(super) struct Unsupported {
    function: &'static str,
    why: String,
}

impl Unsupported {
    /// An argument for which OPA has no result. It is an error all the same: where the call is an
    /// argument of another, the interpreter goes on with what is undefined, and OPA does not.
    pub(super) fn argument(function: &'static str) -> Self {
        Self::new(function, "an argument is of a wrong type, or out of range")
    }

    pub(super) fn new(function: &'static str, why: impl Into<String>) -> Self {
        Self { function, why: why.into() }
    }
}

pub(super) type Outcome = Result<Value, Unsupported>;

/// The text of a string; `None` of anything else.
pub(super) fn string(value: Option<&Value>) -> Option<&str> {
    match value {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}
