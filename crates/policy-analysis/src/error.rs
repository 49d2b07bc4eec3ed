//! Why a policy cannot be read or built, or is refused by its text.

use std::path::PathBuf;

use crate::finding::{Finding, Lint};
use crate::interpreter::InterpreterError;

/// Why a policy is not one that may decide.
#[derive(Debug, thiserror::Error)]
pub enum AnalysisError {
    #[error("cannot read `{}`: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("the policy has more than {limit} {what}")]
    TooMuch { what: &'static str, limit: u64 },
    #[error("`{}` holds no policy (`*.rego`)", .0.display())]
    Empty(PathBuf),
    /// A manifest, a policy or a data file that cannot be read as what it should be.
    #[error("{file}: {detail}")]
    Invalid { file: String, detail: String },
    /// Data at a path that a package has: data would win. With the place of the first rule that it
    /// would hide.
    #[error("{file}: data at `{path}` would shadow the rules of package `{package}`")]
    Shadow { file: String, path: String, package: String, rule: Option<Box<Finding>> },
    #[error(
        "the policy defines neither `data.sentinel.policy.decision` nor `data.sentinel.policy.allow`"
    )]
    NoDecision,
    /// What vetting found; at least one of the findings is an error.
    #[error("{}", summary(.0))]
    Refused(Vec<Finding>),
    #[error(transparent)]
    Interpreter(#[from] InterpreterError),
}

impl AnalysisError {
    /// A file that cannot be read as what it should be.
    #[must_use]
    pub fn invalid(file: impl Into<String>, detail: &(impl ToString + ?Sized)) -> Self {
        Self::Invalid { file: file.into(), detail: detail.to_string() }
    }

    /// The error as findings; empty when it is not about the policy's text.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
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
            Self::NoDecision => vec![Finding::new(Lint::NoDecision, self.to_string())],
            Self::Io { .. } | Self::TooMuch { .. } | Self::Empty(_) | Self::Interpreter(_) => {
                Vec::new()
            }
        }
    }
}

/// The first of the findings that refuse a policy, and how many more there are.
#[must_use]
pub fn summary(findings: &[Finding]) -> String {
    let mut errors = findings.iter().filter(|finding| finding.is_error());
    let first = errors.next().map(|first| format!("{first} [{}]", first.lint.code()));
    match (first, errors.count()) {
        (Some(first), 0) => first,
        (Some(first), more) => format!("{first} (and {more} more)"),
        (None, _) => "the policy was refused".to_owned(),
    }
}
