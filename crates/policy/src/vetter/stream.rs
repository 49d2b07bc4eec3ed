//! Vetting of many policies by one process, for the suite of generated policies: a process for each
//! of thousands would be most of the work. What is done to each policy is what [`super::run_child`]
//! does.

use std::io::{BufRead as _, Write as _};
use std::process::ExitCode;

use sentinel_policy_analysis::PolicySource;
use sentinel_policy_analysis::interpreter::STACK;
use sentinel_policy_analysis::vet::RunTests;

use super::{Verdict, limit_resources};

/// Of processor time for all of them, in seconds.
const CPU_SECONDS: u64 = 3600;

/// Reads a policy as JSON from each line of the input, and prints its verdict as a line of JSON.
#[must_use]
pub fn run_stream(run_tests: RunTests) -> ExitCode {
    if limit_resources(CPU_SECONDS).is_err() {
        return ExitCode::FAILURE;
    }
    for line in std::io::stdin().lock().lines() {
        let Some(verdict) = line.ok().and_then(|line| verdict(&line, run_tests)) else {
            return ExitCode::FAILURE;
        };
        let mut output = std::io::stdout().lock();
        if writeln!(output, "{verdict}").and_then(|()| output.flush()).is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// On a thread of the size that vetting has, so that a panic ends it and not the process.
fn verdict(line: &str, run_tests: RunTests) -> Option<String> {
    let source: PolicySource = serde_json::from_str(line).ok()?;
    let vetting = std::thread::Builder::new().stack_size(STACK);
    let vetting = vetting.spawn(move || Verdict::of(&source, run_tests)).ok()?;
    let verdict = vetting.join();
    let verdict = verdict.unwrap_or_else(|_| Verdict::failed("vetting panicked".to_owned()));
    serde_json::to_string(&verdict).ok()
}
