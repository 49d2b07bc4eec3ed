//! How the embedded engine is set up.

use std::time::Duration;

use sentinel_policy_analysis::SourceLimits;

use crate::vetter::Vetter;

/// How policy is loaded and evaluated.
#[derive(Debug, Clone)]
pub struct EmbeddedConfig {
    /// Time that one rule may take. It is kept between the steps of the interpreter, so a builtin
    /// can exceed it.
    pub time_limit: Duration,
    /// Time that one evaluation may take, whatever it does; also that of a candidate.
    pub hard_limit: Duration,
    /// Threads that evaluate at one time.
    pub threads: usize,
    /// Threads that are replaced, at one time, when they do not come back from an evaluation. With
    /// one more, nothing is evaluated until one has come back.
    pub stuck_threads: usize,
    pub limits: SourceLimits,
    /// Without one, no directory can be loaded.
    pub vetter: Option<Vetter>,
}

impl Default for EmbeddedConfig {
    fn default() -> Self {
        Self {
            time_limit: Duration::from_millis(5),
            hard_limit: Duration::from_millis(250),
            threads: std::thread::available_parallelism().map_or(2, Into::into),
            stuck_threads: 4,
            limits: SourceLimits::default(),
            vetter: None,
        }
    }
}
