//! Checks whose question was asked before, and checks whose question never was: what the policy
//! engine costs beside everything else. Against another build, in turn with it, so that a ratio
//! holds when the machine's speed drifts.

use std::{io::Write as _, path::Path};

use anyhow::ensure;

use super::{Times, allowed_or_not};
use crate::{
    load::{self, Mode, RequestHead},
    report::{Column, Format, Row, Table},
    sentinel::{Product, Sentinel},
};

const CONNECTIONS: [usize; 2] = [16, 128];
/// Runs of each, in turn; the median counts.
const RUNS: usize = 7;
/// The least that is left of the other build's checks.
const LEAST: f64 = 0.95;
/// Usage that callers report: larger than what any run counts, so it is what policy sees.
const USAGE: u64 = 500_000_000;

const COLUMNS: &[Column] = &[
    column("median", "checks/s", Format::Number(0)),
    column("other", "other build", Format::Number(0)),
    column("ratio", "ratio", Format::Percent),
    column("least", "least", Format::Percent),
    column("most", "most", Format::Percent),
    column("p99_ms", "p99 ms", Format::Number(2)),
    column("other_p99_ms", "other p99", Format::Number(2)),
    column("p99_ratio", "p99 ratio", Format::Percent),
];

const fn column(key: &'static str, heading: &'static str, format: Format) -> Column {
    Column { key, heading, format }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Asked {
    /// Again and again the same.
    Repeated,
    /// Each once.
    Distinct,
}

/// Loads this build, and the other in turn with it if there is one, with questions of both kinds.
pub(crate) fn measure(
    product: &Product,
    times: Times,
    other: Option<&Path>,
) -> anyhow::Result<Table> {
    let ours = product.start("questions")?;
    let other = other.map(|binary| {
        Product { binary: binary.to_owned(), ..product.clone() }.start("questions-other")
    });
    let theirs = other.transpose()?;
    let mut table = Table::new("checks of repeated and of distinct questions", COLUMNS);
    let mut slow = Vec::new();
    for (asked, word) in [(Asked::Repeated, "repeated"), (Asked::Distinct, "distinct")] {
        for connections in CONNECTIONS {
            let mut rates = Vec::with_capacity(RUNS);
            for run in 0..RUNS {
                let own = || run_once(&ours, times, connections, asked);
                let other =
                    || theirs.as_ref().map(|other| run_once(other, times, connections, asked));
                // Each goes first as often as it goes last.
                let (first, second) = if run % 2 == 0 {
                    let first = own()?;
                    (first, other().transpose()?)
                } else {
                    let second = other().transpose()?;
                    (own()?, second)
                };
                rates.push((first, second));
            }
            let label = format!("{word}, {connections} connections");
            let row = row(label.clone(), &rates);
            if row.figures.get(2).copied().flatten().is_some_and(|ratio| ratio < LEAST) {
                slow.push(label);
            }
            table.push(row);
        }
    }
    table.push(memory(&ours, theirs.as_ref())?);
    if !slow.is_empty() {
        print!("{table}");
    }
    ensure!(slow.is_empty(), "less than {LEAST} of the other build's checks: {slow:?}");
    Ok(table)
}

/// What one run measured.
#[derive(Debug, Clone, Copy, serde::Serialize)]
struct Run {
    per_second: f64,
    p99_ms: f64,
}

fn row(label: String, runs: &[(Run, Option<Run>)]) -> Row {
    let figures = |of: fn(&Run) -> f64| {
        let own = runs.iter().map(|(own, _)| of(own)).collect();
        let pairs = runs.iter().filter_map(|(own, other)| Some((of(own), of(other.as_ref()?))));
        let other = pairs.clone().map(|(_, other)| other).collect();
        (median(own), median(other), pairs.map(|(own, other)| own / other).collect::<Vec<_>>())
    };
    let (rate, other_rate, mut ratios) = figures(|run| run.per_second);
    let (p99, other_p99, p99_ratios) = figures(|run| run.p99_ms);
    ratios.sort_by(f64::total_cmp);
    let detail = serde_json::json!({ "runs": runs });
    let figures = vec![
        rate,
        other_rate,
        median(ratios.clone()),
        ratios.first().copied(),
        ratios.last().copied(),
        p99,
        other_p99,
        median(p99_ratios),
    ];
    Row { label, figures, remarks: Vec::new(), detail }
}

/// Resident memory after all runs, in megabytes.
fn memory(ours: &Sentinel, theirs: Option<&Sentinel>) -> anyhow::Result<Row> {
    let of = |sentinel: &Sentinel| anyhow::Ok(sentinel.server.memory()?.resident as f64 / 1e6);
    let (own, other) = (of(ours)?, theirs.map(of).transpose()?);
    let ratio = other.map(|other| own / other);
    let mut figures = vec![Some(own), other, ratio];
    figures.resize(COLUMNS.len(), None);
    let label = "resident memory afterwards, MB".to_owned();
    Ok(Row { label, figures, remarks: Vec::new(), detail: serde_json::Value::Null })
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Loads the server once; all checks must be allowed.
fn run_once(
    sentinel: &Sentinel,
    times: Times,
    connections: usize,
    asked: Asked,
) -> anyhow::Result<Run> {
    let head = sentinel.request("POST", "/policy/check", "agent")?;
    let plan = times.plan(sentinel, connections, Mode::Closed);
    let write = |n, buffer: &mut Vec<u8>| match asked {
        Asked::Repeated => check(&head, USAGE, buffer),
        Asked::Distinct => check(&head, USAGE + n, buffer),
    };
    let result = load::run(&plan, &write, &allowed_or_not)?;
    ensure!(result.errors() == 0, "{} requests failed", result.errors());
    let denied = result.by_outcome.get("no allow").copied().unwrap_or_default();
    ensure!(denied == 0, "{denied} checks were not allowed");
    Ok(Run { per_second: result.requests_per_second, p99_ms: result.latency.p99 })
}

fn check(head: &RequestHead, usage: u64, buffer: &mut Vec<u8>) {
    let mut body = [0; 256];
    let mut rest = body.as_mut_slice();
    let room = rest.len();
    // It fits: the usage has nine digits.
    let _ = write!(
        rest,
        r#"{{"tenant_slug":"platform-eng","tool_name":"langsmith-docs-search","action":"invoke","purpose":"documentation_lookup","usage":{usage},"agent":"bench","arguments":{{"query":"trace"}}}}"#
    );
    let length = room - rest.len();
    head.write(body.get(..length).unwrap_or_default(), buffer);
}
