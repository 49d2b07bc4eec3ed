//! Operational logs: what the process reports about itself, on standard error. What happens to
//! calls is in [`crate::runtime::event_log`], on standard output.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// The form of the logs.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    clap::ValueEnum,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Aligned lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// The form that was asked for, else the one that suits `stream`.
    pub(crate) fn or_for(asked: Option<Self>, stream: &impl IsTerminal) -> Self {
        asked.unwrap_or(if stream.is_terminal() { Self::Text } else { Self::Json })
    }
}

/// Starts the operational log at `level` (a `tracing` filter such as `info` or
/// `sentinel=debug,warn`). The first call of a process counts.
pub(crate) fn start(asked: Option<LogFormat>, level: &str) {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // It would report a closed standard error on standard error, and panic.
    let builder = builder.log_internal_errors(false);
    // A second subscriber is refused, and the first goes on; nothing is lost by that.
    let _ = match LogFormat::or_for(asked, &io::stderr()) {
        LogFormat::Json => builder.json().flatten_event(true).with_target(false).try_init(),
        LogFormat::Text => {
            builder.with_target(false).with_ansi(io::stderr().is_terminal()).try_init()
        }
    };
}
