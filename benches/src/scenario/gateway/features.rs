//! What each feature costs: the gateway without it, in turn with one that has everything on.

use std::path::Path;

use super::{
    FEW, InMemory, MANY, STEADY, Target, column, cpu_per_call, divided,
    governed::{Governed, Policy, Setup},
    median,
};
use crate::{
    load::Mode,
    mcp::{Era, upstream},
    report::{Column, Format, Row, Table},
    scenario::Times,
    sentinel::Product,
};

const RUNS: u32 = 3;

const COLUMNS: &[Column] = &[
    column("calls_per_second", "calls/s at 64", Format::Number(0)),
    column("of_all", "of all on", Format::Percent),
    column("cpu_us", "CPU µs/call", Format::Number(0)),
    column("p50_ms", "p50 at 16", Format::Number(2)),
    column("steady_p50_ms", "p50 at 1,000/s", Format::Number(2)),
    column("steady_p99_ms", "p99 at 1,000/s", Format::Number(2)),
];

fn variants(in_memory: &Path) -> Vec<(&'static str, Setup)> {
    let usual = Setup::usual;
    let with = |name, lines: &str| Setup { lines: lines.to_owned(), ..usual(name) };
    let in_memory = Some(in_memory.to_owned());
    let all_off = Setup {
        policy: Policy::Constant,
        quota: false,
        folder: in_memory.clone(),
        lines: "gateway_sign: off\nlog_checks: false".to_owned(),
        ..usual("all-off")
    };
    vec![
        ("everything on", usual("all-on")),
        ("policy that allows every call", Setup { policy: Policy::Constant, ..usual("policy") }),
        ("no quota", Setup { quota: false, ..usual("quota") }),
        ("audit not on disk (tmpfs)", Setup { folder: in_memory, ..usual("audit") }),
        ("no event log of checks", with("events", "log_checks: false")),
        ("signed after the response", with("sign-after", "gateway_sign: after")),
        ("not signed", with("sign-off", "gateway_sign: off")),
        ("all of these off", all_off),
    ]
}

/// What one run of a variant measured.
#[derive(Debug, Clone, Copy, serde::Serialize)]
struct Run {
    per_second: f64,
    cpu_us: f64,
    p50_ms: f64,
    steady_p50_ms: f64,
    steady_p99_ms: f64,
}

pub(super) fn measure(product: &Product, times: Times) -> anyhow::Result<Table> {
    let (_upstream, address) = upstream::start(&upstream::Options::default())?;
    let in_memory = InMemory::new("features")?;
    let mut table = Table::new("calls with one feature off", COLUMNS);
    let mut targets = Vec::new();
    let mut servers = Vec::new();
    for (label, setup) in variants(in_memory.path()) {
        match Governed::start(product, &setup, address) {
            Ok(governed) => {
                targets.push(governed.target(label, Era::Modern)?);
                servers.push(governed);
            }
            // A build that has no such option refuses it.
            Err(error) => table.push(not_measured(label, &error)),
        }
    }
    let mut runs = vec![Vec::new(); targets.len()];
    for _ in 0..RUNS {
        for (target, runs) in targets.iter().zip(&mut runs) {
            runs.push(run(target, divided(times, RUNS))?);
        }
    }
    let all = runs.first().cloned().unwrap_or_default();
    for (target, runs) in targets.iter().zip(&runs) {
        table.push(row(&target.label, runs, &all)?);
    }
    Ok(table)
}

fn run(target: &Target, times: Times) -> anyhow::Result<Run> {
    let many = target.load(times, MANY, Mode::Closed)?;
    let few = target.load(times, FEW, Mode::Closed)?;
    let steady = target.load(times, FEW, Mode::Open { per_second: STEADY })?;
    Ok(Run {
        per_second: many.requests_per_second,
        cpu_us: cpu_per_call(&many),
        p50_ms: few.latency.p50,
        steady_p50_ms: steady.latency.p50,
        steady_p99_ms: steady.latency.p99,
    })
}

fn row(label: &str, runs: &[Run], all: &[Run]) -> anyhow::Result<Row> {
    let of = |figure: fn(&Run) -> f64| median(runs.iter().map(figure).collect());
    let shares = runs.iter().zip(all).map(|(run, all)| run.per_second / all.per_second);
    let figures = vec![
        of(|run| run.per_second),
        median(shares.collect()),
        of(|run| run.cpu_us),
        of(|run| run.p50_ms),
        of(|run| run.steady_p50_ms),
        of(|run| run.steady_p99_ms),
    ];
    let detail = serde_json::to_value(runs)?;
    Ok(Row { label: label.to_owned(), figures, remarks: Vec::new(), detail })
}

fn not_measured(label: &str, error: &anyhow::Error) -> Row {
    let error = error.to_string();
    let first = error.lines().next().unwrap_or_default();
    Row {
        label: label.to_owned(),
        figures: vec![None; COLUMNS.len()],
        remarks: vec![format!("not measured: {first}")],
        detail: serde_json::Value::Null,
    }
}
