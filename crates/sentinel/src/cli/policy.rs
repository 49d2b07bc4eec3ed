//! `sentinel policy`: works on policies without a server.

use std::path::{Path, PathBuf};

use sentinel_policy::{Evaluation, SourceLimits, TestResult, Vetted, Vetter};
use serde_json::{Value, json};

use crate::cli::findings;
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::output;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Vets a policy as the server does before it loads one.
    Check {
        /// Directory with `*.rego` and data.
        dir: PathBuf,
    },
    /// Runs the tests of a policy (`*_test.rego`).
    Test {
        /// Directory with `*.rego` and data.
        dir: PathBuf,
        /// Shows the tests that passed, too.
        #[arg(long, short)]
        verbose: bool,
    },
    /// Evaluates a policy on an input.
    Eval {
        /// Directory with `*.rego` and data.
        dir: PathBuf,
        /// The input, JSON; `-` is standard input.
        #[arg(long, value_name = "FILE")]
        input: PathBuf,
        /// The rule to evaluate.
        #[arg(long, default_value = "data.sentinel.policy.decision", value_name = "PATH")]
        rule: String,
    },
}

pub(crate) async fn run(command: Command, json: bool) -> Outcome {
    // Vetting waits for a process and the interpreter does not yield: neither is for this thread
    // of the runtime, nor is there anything else for it to do.
    match command {
        Command::Check { dir } => check(&dir, json),
        Command::Test { dir, verbose } => test(&dir, verbose, json),
        Command::Eval { dir, input, rule } => evaluate(&dir, &input, &rule, json),
    }
}

fn vet(dir: &Path) -> Outcome<Vetted> {
    let vetter = Vetter::own().or_fail(|| "cannot find this program".to_owned())?;
    vetter.vet(dir, &SourceLimits::default()).map_err(|error| Failure::new(error.to_string()))
}

fn check(dir: &Path, json: bool) -> Outcome {
    let vetter = Vetter::own().or_fail(|| "cannot find this program".to_owned())?;
    let vetted = match vetter.vet(dir, &SourceLimits::default()) {
        Ok(vetted) => vetted,
        Err(error) => return findings::refused(&error, json),
    };
    let source = vetted.source();
    if json {
        return output::json(&json!({
            "revision": source.revision(),
            "digest": source.digest(),
            "findings": findings::as_json(vetted.warnings()),
        }));
    }
    findings::show(vetted.warnings())?;
    output::line(&format!("sound  {}  revision {}", dir.display(), source.revision()))
}

fn test(dir: &Path, verbose: bool, json: bool) -> Outcome {
    let results =
        sentinel_policy::run_tests(&vet(dir)?).map_err(|error| Failure::new(error.to_string()))?;
    let failed = results.iter().filter(|result| is_failure(result)).count();
    if json {
        output::json(&results)?;
    } else {
        show_tests(&results, failed, verbose)?;
    }
    if failed > 0 { Err(Failure::silent()) } else { Ok(()) }
}

fn is_failure(result: &TestResult) -> bool {
    use sentinel_policy::Outcome::{Error, Fail};
    matches!(result.outcome, Fail | Error)
}

fn show_tests(results: &[TestResult], failed: usize, verbose: bool) -> Outcome {
    use sentinel_policy::Outcome::{Error, Fail, Pass, Skipped};
    for result in results.iter().filter(|result| verbose || result.outcome != Pass) {
        let (style, word) = match result.outcome {
            Pass => (output::GREEN, "pass "),
            Fail => (output::RED, "FAIL "),
            Error => (output::RED, "ERROR"),
            Skipped => (output::DIM, "skip "),
        };
        let (package, name) = (&result.package, &result.name);
        let place = format!("{}:{}", result.file, result.line);
        output::line(&format!("{}  {package}.{name}  {place}", output::styled(style, word)))?;
        for line in result.error.iter().chain(&result.prints) {
            output::line(&format!("         {}", output::printable(line)))?;
        }
    }
    if results.is_empty() {
        return Err(
            Failure::new("there are no tests").help("tests are `test_` rules in *_test.rego")
        );
    }
    let skipped = results.iter().filter(|result| result.outcome == Skipped).count();
    let passed = results.len() - failed - skipped;
    let skipped = if skipped > 0 { format!(", {skipped} skipped") } else { String::new() };
    output::line(&format!("{passed} passed, {failed} failed{skipped}"))
}

fn evaluate(dir: &Path, input: &Path, rule: &str, json: bool) -> Outcome {
    let text = if input == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(input)
    };
    let doing = || format!("cannot read the input `{}`", input.display());
    let input: Value = serde_json::from_str(&text.or_fail(doing)?).or_fail(doing)?;
    let evaluation = sentinel_policy::eval(&vet(dir)?, rule, &input)
        .map_err(|error| Failure::new(error.to_string()))?;
    if json {
        output::json(&evaluation)?;
    } else {
        show_evaluation(&evaluation, rule)?;
    }
    if evaluation.result.is_some() { Ok(()) } else { Err(Failure::silent()) }
}

fn show_evaluation(evaluation: &Evaluation, rule: &str) -> Outcome {
    for line in &evaluation.prints {
        eprintln!("{}", output::printable(line));
    }
    match &evaluation.result {
        Some(result) => output::json(result),
        None => output::line(&format!("`{rule}` is undefined for this input")),
    }
}
