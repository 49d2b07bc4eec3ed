//! What the interpreter says when it fails.

use std::fmt::Display;

/// A failure of the interpreter, on one line: `file:3:7: expecting expression`.
///
/// The message may repeat values of the input, so it is for those who work on a policy, and not for
/// the record of a decision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InterpreterError(String);

impl InterpreterError {
    /// The message of the interpreter without its drawing of the source.
    pub fn new(error: &(impl Display + ?Sized)) -> Self {
        let text = error.to_string();
        let place = text.lines().find_map(|line| line.trim().strip_prefix("--> "));
        let message = text.lines().find_map(|line| line.trim().strip_prefix("error: "));
        Self(match (place, message) {
            (Some(place), Some(message)) => format!("{place}: {message}"),
            _ => text.split_whitespace().collect::<Vec<_>>().join(" "),
        })
    }

    /// The same without the name of a file in front.
    #[must_use]
    pub(super) fn without(self, file: &str) -> Self {
        let detail = self.0.strip_prefix(file).and_then(|rest| rest.strip_prefix(':'));
        detail.map_or_else(|| self.clone(), |detail| Self(detail.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
