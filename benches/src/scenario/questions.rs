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
                let own = || rate(&ours, times, connections, asked);
                let other = || theirs.as_ref().map(|other| rate(other, times, connections, asked));
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
    if !slow.is_empty() {
        print!("{table}");
    }
    ensure!(slow.is_empty(), "less than {LEAST} of the other build's checks: {slow:?}");
    Ok(table)
}

fn row(label: String, rates: &[(f64, Option<f64>)]) -> Row {
    let own = rates.iter().map(|(own, _)| *own).collect();
    let other: Vec<_> = rates.iter().filter_map(|(_, other)| *other).collect();
    let mut ratios: Vec<_> =
        rates.iter().filter_map(|(own, other)| other.map(|other| own / other)).collect();
    ratios.sort_by(f64::total_cmp);
    let detail = serde_json::json!({ "runs": rates });
    let figures = vec![
        median(own),
        median(other),
        median(ratios.clone()),
        ratios.first().copied(),
        ratios.last().copied(),
    ];
    Row { label, figures, remarks: Vec::new(), detail }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Checks a second of one run; all of them must be allowed.
fn rate(
    sentinel: &Sentinel,
    times: Times,
    connections: usize,
    asked: Asked,
) -> anyhow::Result<f64> {
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
    Ok(result.requests_per_second)
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
