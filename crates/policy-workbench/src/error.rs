//! Why a policy could not be tried out.

use std::time::Duration;

use sentinel_policy_analysis::AnalysisError;
use sentinel_policy_analysis::interpreter::InterpreterError;

/// Why a policy could not be evaluated, tested or measured.
#[derive(Debug, thiserror::Error)]
pub enum WorkbenchError {
    /// The policy cannot be built, or is refused.
    #[error(transparent)]
    Analysis(#[from] AnalysisError),
    /// A query, or the policy, that the interpreter refuses. The message may repeat values of the
    /// input.
    #[error(transparent)]
    Interpreter(#[from] InterpreterError),
    /// A value that is not JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("{file}: a test cannot be separated from the others")]
    Inseparable { file: String },
    #[error("no thread can be started: {0}")]
    Thread(std::io::Error),
    #[error("it took longer than {0:?}")]
    TimedOut(Duration),
    #[error("the interpreter panicked")]
    Panicked,
}

/// The message of the interpreter as an error.
pub(crate) fn interpreter(error: impl std::fmt::Display) -> WorkbenchError {
    InterpreterError::new(&error).into()
}
