//! Working on a policy: its tests, evaluation by hand, explanations, measurements and replays.
//!
//! Nothing here is on the path of a decision. The tests of a policy are also what vetting ends
//! with, so the vetting process ([`run_child`]) is put together here.

mod bench;
mod error;
mod eval;
mod explain;
mod once;
mod replay;
mod sample;
mod syntax;
mod test_cases;
mod test_rules;
mod test_runner;
mod vetting;

pub use crate::bench::{BenchReport, RuleTimes, Scan, bench};
pub use crate::error::WorkbenchError;
pub use crate::eval::{Evaluation, Evaluator, eval};
pub use crate::explain::{
    ExplainedBody, ExplainedCondition, ExplainedRule, Explanation, Seen, explain,
};
pub use crate::replay::{Replayed, Replayer, recorded_input};
pub use crate::sample::sample_inputs;
pub use crate::test_cases::CaseResult;
pub use crate::test_runner::{
    CoveredFile, Outcome, TestReport, TestResult, run_selected, run_tests,
};
pub use crate::vetting::run_child;
#[doc(hidden)]
pub use crate::vetting::run_stream;
