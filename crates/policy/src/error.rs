//! Why a policy could not be loaded.

use std::path::PathBuf;

/// Why a policy was not loaded. The policy that was in force before stays in force.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("cannot read `{}`: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("the policy has more than {limit} {what}")]
    TooMuch { what: &'static str, limit: u64 },
    #[error("`{}` holds no policy (`*.rego`)", .0.display())]
    Empty(PathBuf),
    /// A manifest, a policy or a data file that cannot be read as what it should be.
    #[error("{file}: {detail}")]
    Invalid { file: String, detail: String },
    /// Data at a place where rules are: data would win.
    #[error("{file}: data at `{path}` would shadow the rules of package `{package}`")]
    Shadow { file: String, path: String, package: String },
    #[error(
        "the policy defines neither `data.sentinel.policy.decision` nor `data.sentinel.policy.allow`"
    )]
    NoDecision,
    /// Rules that refer to themselves; the interpreter would overflow its stack.
    #[error("{file}:{line}: rules refer to themselves: {cycle}")]
    Recursion { file: String, line: u32, cycle: String },
    #[error("{file}:{line}: {detail}")]
    Refused { file: String, line: u32, detail: String },
    /// What the vetting process said against the policy.
    #[error("{0}")]
    Vetoed(String),
    /// A query or a preparation that the interpreter refuses.
    #[error("{0}")]
    Evaluation(String),
    /// The vetting process did not survive the policy.
    #[error("the policy was refused: vetting it {0}")]
    VettingFailed(String),
    #[error("cannot start `{}` to vet the policy: {source}", command.display())]
    Vetter { command: PathBuf, source: std::io::Error },
    #[error("no vetter is configured, so no policy can be loaded from a directory")]
    NoVetter,
    #[error("the policy's files changed while they were vetted; load them again")]
    Changed,
}

impl LoadError {
    pub(crate) fn invalid(file: impl Into<String>, detail: &(impl ToString + ?Sized)) -> Self {
        Self::Invalid { file: file.into(), detail: detail.to_string() }
    }
}

/// The interpreter's message without its drawing of the source: `file:3:7: expecting expression`.
pub(crate) fn one_line(error: &(impl std::fmt::Display + ?Sized)) -> String {
    let text = error.to_string();
    let place = text.lines().find_map(|line| line.trim().strip_prefix("--> "));
    let message = text.lines().find_map(|line| line.trim().strip_prefix("error: "));
    match (place, message) {
        (Some(place), Some(message)) => format!("{place}: {message}"),
        _ => text.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}
