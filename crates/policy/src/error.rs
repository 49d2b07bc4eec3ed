//! Why a policy could not be loaded.

use std::path::PathBuf;

use sentinel_policy_analysis::{AnalysisError, Finding, Lint, summary};

/// Why a policy was not loaded. The policy that was in force before stays in force.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// What vetting found; at least one of the findings is an error.
    #[error("{}", summary(.0))]
    Refused(Vec<Finding>),
    /// Why it is not a policy that may decide, other than by a finding of vetting.
    #[error(transparent)]
    Analysis(AnalysisError),
    /// Why the vetting process refused it, where that is not a finding.
    #[error("{0}")]
    Vetoed(String),
    /// The vetting process did not survive the policy.
    #[error("the policy was refused: vetting it {0}")]
    VettingFailed(String),
    #[error("cannot start `{}` to vet the policy: {source}", command.display())]
    Vetter { command: PathBuf, source: std::io::Error },
    #[error("no vetter is configured, so no policy can be loaded from a directory")]
    NoVetter,
    /// Data was put at a path that the policy has.
    #[error("data was put at `{path}`, where {owner} would be; remove it first")]
    DataInTheWay { path: String, owner: String },
    #[error("the policy's files changed while they were vetted; load them again")]
    Changed,
}

impl From<AnalysisError> for LoadError {
    fn from(error: AnalysisError) -> Self {
        match error {
            AnalysisError::Refused(findings) => Self::Refused(findings),
            other => Self::Analysis(other),
        }
    }
}

impl LoadError {
    /// The error as findings; empty when it is not about the policy's text.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        match self {
            Self::Refused(findings) => findings.clone(),
            Self::Analysis(error) => error.findings(),
            Self::VettingFailed(_) => vec![Finding::new(Lint::VettingFailed, self.to_string())],
            Self::Vetoed(_)
            | Self::Vetter { .. }
            | Self::NoVetter
            | Self::DataInTheWay { .. }
            | Self::Changed => Vec::new(),
        }
    }
}
