//! What is logged, and how.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::log_level;
use crate::config::problems::Problems;
use crate::config::section::Section;
use crate::runtime::logging::LogFormat;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Logging {
    /// Form of the logs; by default text on a terminal and JSON elsewhere.
    pub(crate) log_format: Option<LogFormat>,
    /// Least severe level of the operational log: `off`, `error`, `warn`, `info`, `debug` or
    /// `trace`, and for single modules others: `info,sentinel_policy=debug`.
    pub(crate) log_level: String,
    /// Whether the event log has a line for every check. Kills, registrations and signatures are
    /// always in it, and the audit has every decision in any case.
    pub(crate) log_checks: bool,
}

impl Default for Logging {
    fn default() -> Self {
        Self { log_format: None, log_level: "info".to_owned(), log_checks: true }
    }
}

impl Section for Logging {
    /// Nothing: logging starts before the rest is checked, so that problems can be logged.
    type Built = ();

    fn check(&self, problems: &mut Problems) {
        if let Err(error) = log_level::check(&self.log_level) {
            let what = format!("`log_level: {}` cannot be used: {error}", self.log_level);
            problems.add(what, log_level::HELP);
        }
    }

    fn build(&self, _: &mut Problems) -> Option<()> {
        Some(())
    }
}
