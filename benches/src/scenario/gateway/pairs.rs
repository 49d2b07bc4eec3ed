//! The same calls straight to the upstream, through a bare proxy and through the gateway, in turn.

use super::{
    Bounds, FEW, MANY, STEADY, Target, column, cpu_per_call, divided,
    governed::{Governed, Setup},
    median,
};
use crate::{
    load::{LoadResult, Mode},
    mcp::{self, Calls, ECHO, Era, proxy, upstream},
    report::{Column, Format, Row, Table},
    scenario::Times,
    sentinel::Product,
};

/// Runs of each, in turn; medians count.
const RUNS: u32 = 5;

const COLUMNS: &[Column] = &[
    column("calls_per_second", "calls/s", Format::Number(0)),
    column("of_proxy", "of proxy", Format::Percent),
    column("p50_ms", "p50 ms", Format::Number(2)),
    column("p99_ms", "p99 ms", Format::Number(2)),
    column("added_p50_ms", "added p50", Format::Number(2)),
    column("added_p99_ms", "added p99", Format::Number(2)),
    column("cpu_us", "CPU µs/call", Format::Number(0)),
    column("server_cores", "server cores", Format::Number(2)),
    column("generator_cores", "load cores", Format::Number(2)),
    column("other_cores", "other cores", Format::Number(2)),
];

/// One kind of load.
struct Load {
    label: &'static str,
    era: Era,
    connections: usize,
    mode: Mode,
}

const LOADS: [Load; 4] = [
    Load { label: "16 connections", era: Era::Modern, connections: FEW, mode: Mode::Closed },
    Load { label: "64 connections", era: Era::Modern, connections: MANY, mode: Mode::Closed },
    Load {
        label: "steady 1,000/s",
        era: Era::Modern,
        connections: FEW,
        mode: Mode::Open { per_second: STEADY },
    },
    Load { label: "legacy, 64", era: Era::Legacy, connections: MANY, mode: Mode::Closed },
];

/// What one run of each measured, in the order of the targets.
type Round = Vec<LoadResult>;

pub(super) fn measure(
    product: &Product,
    times: Times,
    bounds: &mut Bounds,
) -> anyhow::Result<Table> {
    let (upstream, upstream_address) = upstream::start(&upstream::Options::default())?;
    let (proxy, proxy_address) = proxy::start(upstream_address)?;
    let governed = Governed::start(product, &Setup::usual("pairs"), upstream_address)?;
    let mut table = Table::new("calls: key, policy, quota, durable audit, signature", COLUMNS);
    for load in LOADS {
        let plain = |label: &str, address, pid| {
            let head = mcp::call_head(address, upstream::PATH, load.era, ECHO);
            let calls = Calls { heads: vec![head], era: load.era, tool: ECHO.to_owned() };
            Target { label: label.to_owned(), address, pid, calls }
        };
        let targets = [
            plain("upstream alone", upstream_address, upstream.pid()),
            plain("bare proxy", proxy_address, proxy.pid()),
            governed.target("gateway", load.era)?,
        ];
        let rounds = rounds(&targets, &load, divided(times, RUNS))?;
        for (index, target) in targets.iter().enumerate() {
            table.push(row(format!("{}, {}", target.label, load.label), index, &rounds)?);
        }
        judge(&load, &rounds, bounds);
    }
    Ok(table)
}

fn rounds(targets: &[Target], load: &Load, times: Times) -> anyhow::Result<Vec<Round>> {
    let round = |number: u32| {
        let run = |target: &Target| target.load(times, load.connections, load.mode);
        // Each goes first as often as it goes last.
        if number.is_multiple_of(2) {
            return targets.iter().map(run).collect();
        }
        let mut results = targets.iter().rev().map(run).collect::<anyhow::Result<Round>>()?;
        results.reverse();
        Ok(results)
    };
    (0..RUNS).map(round).collect()
}

/// The median over the rounds of what `of` makes of the target's run and another's in that round.
fn paired(
    rounds: &[Round],
    (target, other): (usize, usize),
    of: impl Fn(&LoadResult, &LoadResult) -> f64,
) -> Option<f64> {
    let values = rounds.iter().filter_map(|round| Some(of(round.get(target)?, round.get(other)?)));
    median(values.collect())
}

const DIRECT: usize = 0;
const PROXY: usize = 1;
const GATEWAY: usize = 2;

fn row(label: String, target: usize, rounds: &[Round]) -> anyhow::Result<Row> {
    let own = |of: fn(&LoadResult) -> f64| paired(rounds, (target, target), |own, _| of(own));
    let added = |of: fn(&LoadResult) -> f64| {
        let added = paired(rounds, (target, DIRECT), |own, direct| of(own) - of(direct));
        added.filter(|_| target != DIRECT)
    };
    let runs: Vec<_> = rounds.iter().filter_map(|round| round.get(target)).collect();
    let figures = vec![
        own(|run| run.requests_per_second),
        paired(rounds, (target, PROXY), |own, proxy| {
            own.requests_per_second / proxy.requests_per_second
        }),
        own(|run| run.latency.p50),
        own(|run| run.latency.p99),
        added(|run| run.latency.p50),
        added(|run| run.latency.p99),
        own(cpu_per_call),
        own(|run| run.cpu_cores.server.unwrap_or_default()),
        own(|run| run.cpu_cores.generator),
        own(|run| run.cpu_cores.others.unwrap_or_default()),
    ];
    Ok(Row { label, figures, remarks: Vec::new(), detail: serde_json::to_value(runs)? })
}

fn judge(load: &Load, rounds: &[Round], bounds: &mut Bounds) {
    let added =
        || paired(rounds, (GATEWAY, DIRECT), |own, direct| own.latency.p50 - direct.latency.p50);
    match load.label {
        "16 connections" => bounds.at_most("added p50 at 16 connections, ms", added(), 0.5),
        "steady 1,000/s" => bounds.at_most("added p50 at a steady 1,000/s, ms", added(), 0.3),
        "64 connections" => {
            let rate = paired(rounds, (GATEWAY, GATEWAY), |own, _| own.requests_per_second);
            bounds.at_least("governed calls/s", rate, 8000.0);
            let share = paired(rounds, (GATEWAY, PROXY), |own, proxy| {
                own.requests_per_second / proxy.requests_per_second
            });
            bounds.at_least("share of a bare proxy", share, 0.6);
        }
        _ => {}
    }
}
