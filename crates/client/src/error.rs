use std::fmt;
use std::time::Duration;

use sentinel_core::id::DecisionId;

use crate::InvalidHome;

/// Why a call came to nothing. None of these is an allow.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address of the server is not one of HTTP.
    #[error("`{0}` is not an http address")]
    Address(String),
    /// The environment says where the server is, and that cannot be read.
    #[error(transparent)]
    Environment(#[from] InvalidHome),
    /// The HTTP client cannot be set up.
    #[error("cannot set up the HTTP client: {0}")]
    Setup(#[source] reqwest::Error),
    /// A request cannot be written as JSON.
    #[error("cannot write the request: {0}")]
    Unwritable(#[source] serde_json::Error),
    /// The deadline passed. Whether the server did anything is not known.
    #[error("`{server}` did not answer in time")]
    TimedOut { server: String },
    /// No connection, or it broke before there was an answer. In the second case it is not known
    /// whether the server did anything.
    #[error("cannot reach `{server}`: {cause}")]
    Unreachable { server: String, cause: String, connected: bool },
    /// The connection broke in the middle of the answer.
    #[error("the answer broke off: {0}")]
    Interrupted(String),
    /// The server answered with an error.
    #[error("{0}")]
    Refused(Box<Problem>),
    /// The answer is not what the server's interface promises.
    #[error("the server's answer is not {expected}: {cause}")]
    Malformed { expected: &'static str, cause: String },
}

/// An error that the server answered with: RFC 9457, as far as the answer was a problem document.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// What went wrong, for programs. `None` when the answer came from something else, such as a
    /// proxy.
    pub code: Option<String>,
    /// What went wrong, for people.
    pub detail: String,
    /// Identifier of the request, for a look into the server's log.
    pub request_id: Option<String>,
    /// The recorded decision that the error is about: of a check of an unknown tool, for instance.
    pub decision_id: Option<DecisionId>,
    /// Each of the reasons, where there can be several.
    pub reasons: Vec<String>,
    /// When the server wants to be asked again.
    pub retry_after: Option<Duration>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{} ({code})", self.detail),
            None => f.write_str(&self.detail),
        }
    }
}

impl Error {
    /// What the server answered, if it answered.
    #[must_use]
    pub const fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) => Some(problem),
            _ => None,
        }
    }

    /// The HTTP status of the answer, if there was one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.problem().map(|problem| problem.status)
    }

    /// The stable code of the problem, if the server gave one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.problem()?.code.as_deref()
    }

    pub(crate) fn malformed(expected: &'static str, cause: impl fmt::Display) -> Self {
        Self::Malformed { expected, cause: cause.to_string() }
    }
}

/// What is at the bottom of an error: the outer layers say no more than that a request failed.
pub(crate) fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
