//! Why a policy could not be loaded.

use std::path::PathBuf;

use crate::bundle::BundleError;
use crate::finding::{Finding, Lint, Severity};

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
    /// Data at a place where rules are: data would win. With the place of the first such rule.
    #[error("{file}: data at `{path}` would shadow the rules of package `{package}`")]
    Shadow { file: String, path: String, package: String, rule: Option<Box<Finding>> },
    #[error(
        "the policy defines neither `data.sentinel.policy.decision` nor `data.sentinel.policy.allow`"
    )]
    NoDecision,
    /// What vetting has against the policy; not empty.
    #[error("{}", summary(.0))]
    Refused(Vec<Finding>),
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
    /// What people put as data lies where the policy has something.
    #[error("data was put at `{path}`, where {owner} would be; remove it first")]
    DataInTheWay { path: String, owner: String },
    #[error("the policy's files changed while they were vetted; load them again")]
    Changed,
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A bundle that is older than what was in force before.
    #[error("{0}")]
    Rollback(String),
    /// The source did not give a bundle: it is away, or refuses us.
    #[error("the source of the policy gives none: {0}")]
    Source(String),
    #[error("the bundle could not be kept for the next start: {0}")]
    NotKept(String),
}

impl LoadError {
    pub(crate) fn invalid(file: impl Into<String>, detail: &(impl ToString + ?Sized)) -> Self {
        Self::Invalid { file: file.into(), detail: detail.to_string() }
    }

    /// The error as findings; none when it is not about the policy's text.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let finding = |lint| Finding::new(lint, self.to_string());
        match self {
            Self::Refused(findings) => findings.clone(),
            Self::Invalid { file, detail } => {
                let finding = Finding::new(Lint::InvalidFile, detail.as_str());
                vec![finding.of_file(file)]
            }
            Self::Shadow { file, path, package, rule } => {
                let what = format!("data at `{path}` in `{file}` would shadow the rules of");
                let found = Finding::new(Lint::DataShadowsRule, format!("{what} `{package}`"));
                vec![match rule {
                    Some(rule) => Finding { message: found.message, ..(**rule).clone() },
                    None => found.of_file(file),
                }]
            }
            Self::Bundle(error) => vec![error.finding()],
            Self::Rollback(_) => vec![finding(Lint::Rollback)],
            Self::NoDecision => vec![finding(Lint::NoDecision)],
            Self::VettingFailed(_) => vec![finding(Lint::VettingFailed)],
            _ => Vec::new(),
        }
    }
}

/// The first of the findings that refuse the policy, and how many more there are.
fn summary(findings: &[Finding]) -> String {
    let mut errors = findings.iter().filter(|finding| finding.lint.severity() == Severity::Error);
    let first = errors.next().map(|first| format!("{first} [{}]", first.lint.code()));
    match (first, errors.count()) {
        (Some(first), 0) => first,
        (Some(first), more) => format!("{first} (and {more} more)"),
        (None, _) => "the policy was refused".to_owned(),
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
