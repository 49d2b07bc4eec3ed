//! `sentinel policy bench`: how long each rule takes, and which go through all data.

use std::path::{Path, PathBuf};

use sentinel_policy_analysis::Lint;
use sentinel_policy_workbench::{BenchReport, Scan, bench, recorded_input, sample_inputs};
use serde_json::{Value, json};

use super::source::{Version, vet};
use crate::cli::findings;
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::output::{self, Table, printable, styled};

/// More tell nothing new, and are all kept in memory.
const MAX_INPUTS: usize = 10_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory with `*.rego` and data.
    dir: PathBuf,
    /// Inputs, JSON: one, an array of them, or one a line; `-` is standard input. By default those
    /// of the policy's tests, and some of its own.
    #[arg(long, value_name = "FILE", conflicts_with = "decisions")]
    input: Option<PathBuf>,
    /// Recorded decisions, as `sentinel decisions --export` writes them; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    decisions: Option<PathBuf>,
    /// Evaluations of each rule, over all inputs in turn.
    #[arg(long, default_value_t = 2000, value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    evaluations: u32,
    /// Fails when a rule goes through a collection of data.
    #[arg(long)]
    deny_scans: bool,
    #[command(flatten)]
    pub(crate) version: Version,
}

pub(crate) fn run(args: &Args, json: bool) -> Outcome {
    let policy = vet(&args.dir, args.version)?;
    let inputs = match (&args.input, &args.decisions) {
        (Some(path), _) => read(path)?,
        (None, Some(path)) => {
            read(path)?.iter().filter_map(recorded_input).take(MAX_INPUTS).collect()
        }
        (None, None) => sample_inputs(&policy).map_err(|error| Failure::new(error.to_string()))?,
    };
    if inputs.is_empty() {
        return Err(Failure::new("there are no inputs"));
    }
    let evaluations = usize::try_from(args.evaluations).unwrap_or(usize::MAX);
    let report =
        bench(&policy, &inputs, evaluations).map_err(|error| Failure::new(error.to_string()))?;
    let warnings: Vec<_> =
        policy.warnings().iter().filter(|found| found.lint == Lint::WholeSet).cloned().collect();
    if json {
        output::json(&json!({
            "inputs": report.inputs,
            "rules": report.rules,
            "scans": report.scans,
            "findings": findings::as_json(&warnings),
        }))?;
    } else {
        show(&report)?;
        findings::show(&warnings)?;
    }
    if args.deny_scans && !report.scans.is_empty() { Err(Failure::silent()) } else { Ok(()) }
}

/// One JSON value, an array of them, or one a line.
fn read(path: &Path) -> Outcome<Vec<Value>> {
    let doing = || format!("cannot read `{}`", path.display());
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.or_fail(doing)?;
    let values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    let values: Vec<Value> = values.take(MAX_INPUTS).collect::<Result<_, _>>().or_fail(doing)?;
    match <[Value; 1]>::try_from(values) {
        Ok([Value::Array(values)]) => Ok(values.into_iter().take(MAX_INPUTS).collect()),
        Ok([value]) => Ok(vec![value]),
        Err(values) => Ok(values),
    }
}

fn show(report: &BenchReport) -> Outcome {
    let mut table = Table::new(&["rule", "p50", "p99", "max", "evaluations", "errors"]);
    for rule in &report.rules {
        let name = if rule.decides { format!("{} *", rule.rule) } else { rule.rule.clone() };
        let times = [rule.p50_us, rule.p99_us, rule.max_us].map(|time| format!("{time:.1}"));
        let counts = [rule.evaluations, rule.errors].map(|count| count.to_string());
        table.row([name].into_iter().chain(times).chain(counts).collect());
    }
    table.print("no rules")?;
    let of = if report.inputs == 1 { "input" } else { "inputs" };
    output::line(&format!(
        "microseconds, over {} {of}; * is what the server asks for",
        report.inputs
    ))?;
    report.scans.iter().try_for_each(show_scan)?;
    if report.scans.is_empty() {
        return Ok(());
    }
    output::line(
        "     where it matters, look up by index: `data.allowlist[input.tenant][input.tool]`",
    )
}

fn show_scan(scan: &Scan) -> Outcome {
    output::line(&format!(
        "{} {}:{}: `{}` goes through `{}`: {:.0} µs, {:.0} µs with {} entries more",
        styled(output::RED, "scan"),
        printable(&scan.file),
        scan.line,
        printable(&scan.rule),
        printable(&scan.data),
        scan.before_us,
        scan.after_us,
        scan.added,
    ))
}
