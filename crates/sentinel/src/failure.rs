//! How a command fails: what went wrong, how to fix it, and the exit status.

use std::fmt::Display;
use std::process::ExitCode;

use crate::output;

/// Exit status of a command that ran, with a negative result: denied, or not verified.
pub(crate) const DENIED: u8 = 1;
/// Exit status of a command whose arguments make no sense.
const USAGE: u8 = 2;

/// The result of a command.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// Why a command failed, worded for the user who typed it.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    details: Vec<String>,
    help: Vec<String>,
    status: u8,
}

impl Failure {
    /// Something that went wrong.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), details: Vec::new(), help: Vec::new(), status: DENIED }
    }

    /// Something that was asked for in the wrong way.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { status: USAGE, ..Self::new(message) }
    }

    /// Only an exit status: the output says everything.
    pub(crate) fn silent() -> Self {
        Self::new("")
    }

    /// The exit status by which a hook stops what it was asked about.
    pub(crate) fn blocked() -> Self {
        Self::usage("")
    }

    /// Adds a line to the message.
    #[must_use]
    pub(crate) fn detail(mut self, line: impl Into<String>) -> Self {
        self.details.push(line.into());
        self
    }

    /// Adds how to fix it.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// The message in one line, and how to fix it.
    pub(crate) fn summary(&self) -> (String, String) {
        let what = std::iter::once(&self.message).chain(&self.details);
        let what = what.map(|line| line.trim()).collect::<Vec<_>>().join("; ");
        (what, self.help.join("; "))
    }

    /// Writes the failure to standard error and returns the exit status.
    pub(crate) fn report(&self) -> ExitCode {
        if !self.message.is_empty() {
            output::tell(&format!("error: {}", output::printable(&self.message)));
        }
        for detail in &self.details {
            output::tell(&format!("  {}", output::printable(detail)));
        }
        for help in &self.help {
            output::tell(&format!(" help: {}", output::printable(help)));
        }
        ExitCode::from(self.status)
    }
}

/// Turns any error into a failure that says what was being done.
pub(crate) trait OrFail<T> {
    fn or_fail(self, doing: impl FnOnce() -> String) -> Outcome<T>;
}

impl<T, E: Display> OrFail<T> for Result<T, E> {
    fn or_fail(self, doing: impl FnOnce() -> String) -> Outcome<T> {
        self.map_err(|error| Failure::new(format!("{}: {error}", doing())))
    }
}
