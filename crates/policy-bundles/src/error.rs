//! Why something is not a bundle that may be used, or could not be put in force.

use sentinel_policy::LoadError;
use sentinel_policy_analysis::{AnalysisError, Finding, Lint};

use crate::names::PATCH;

/// Why a bundle is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    #[error("it is not a bundle (`tar.gz`): {0}")]
    Archive(String),
    #[error("the bundle has more than {limit} {what}")]
    TooMuch { what: &'static str, limit: u64 },
    #[error("the bundle has an entry `{path}`, which {why}")]
    Entry { path: String, why: &'static str },
    #[error("the bundle has two files `{0}`")]
    Twice(String),
    /// A file that OPA would decide by and this engine cannot read.
    #[error("{file}: {why}")]
    Unreadable { file: String, why: &'static str },
    #[error("{file}: {detail}")]
    File { file: String, detail: String },
    #[error("`patch.json` makes it a delta bundle, and those are not applied")]
    Delta,
    #[error("the bundle is not signed, and a key is configured")]
    Unsigned,
    #[error("the bundle is signed, and no key is configured to verify it")]
    NoKey,
    #[error("the signature of the bundle does not hold: {0}")]
    Signature(String),
}

impl BundleError {
    #[expect(clippy::needless_pass_by_value, reason = "errors are handed over by `map_err`")]
    pub(crate) fn file(file: &str, detail: impl ToString) -> Self {
        Self::File { file: file.to_owned(), detail: detail.to_string() }
    }

    pub(crate) fn signature(detail: impl Into<String>) -> Self {
        Self::Signature(detail.into())
    }

    fn lint(&self) -> Lint {
        match self {
            Self::Unsigned | Self::NoKey | Self::Signature(_) => Lint::BundleSignature,
            Self::Delta => Lint::DeltaBundle,
            Self::File { .. } => Lint::InvalidFile,
            _ => Lint::InvalidBundle,
        }
    }

    /// The error as vetting reports it.
    #[must_use]
    pub fn finding(&self) -> Finding {
        match self {
            Self::File { file, detail } => Finding::new(self.lint(), detail.as_str()).of_file(file),
            Self::Unreadable { file, why } => Finding::new(self.lint(), *why).of_file(file),
            Self::Delta => Finding::new(self.lint(), self.to_string()).of_file(PATCH),
            _ => Finding::new(self.lint(), self.to_string()),
        }
    }
}

/// Why there is no newer policy from a bundle. The policy that was in force before stays in force.
#[derive(Debug, thiserror::Error)]
pub enum SupplyError {
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The files cannot be read as a policy, or it was refused.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A bundle that is older than what was in force before.
    #[error("{0}")]
    Rollback(String),
    /// The source did not give a bundle: it is away, or refuses us.
    #[error("the source of the policy gives none: {0}")]
    Source(String),
    #[error("the bundle could not be kept for the next start: {0}")]
    NotKept(String),
}

impl From<AnalysisError> for SupplyError {
    fn from(error: AnalysisError) -> Self {
        Self::Load(error.into())
    }
}

impl SupplyError {
    /// The error as findings; empty when it is not about the bundle or its policy.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        match self {
            Self::Bundle(error) => vec![error.finding()],
            Self::Load(error) => error.findings(),
            Self::Rollback(_) => vec![Finding::new(Lint::Rollback, self.to_string())],
            Self::Source(_) | Self::NotKept(_) => Vec::new(),
        }
    }
}
