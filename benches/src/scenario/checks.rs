//! Checks through HTTP with everything on: key, policy, quota, durable audit, event log.

use anyhow::Context as _;

use super::{Times, allowed_or_not, disk};
use crate::{
    CHECK_BODY,
    echo::Baseline,
    load::{self, Mode},
    report::{LOAD_COLUMNS, Row, Table},
    sentinel::{Product, Sentinel},
    server::ProcessFigures,
};

/// The steady rate at which latency is promised, per second.
const STEADY: f64 = 1000.0;

/// Loads one server at each number of connections of the baseline, then at a steady rate.
pub(crate) fn measure(
    product: &Product,
    times: Times,
    baseline: &Baseline,
) -> anyhow::Result<(Table, ProcessFigures)> {
    let sentinel = product.start("checks")?;
    let idle = sentinel.server.memory()?;
    let mut table = Table::new("checks: key, policy, quota, durable audit", LOAD_COLUMNS);
    for echo in &baseline.loads {
        let result = run(&sentinel, times, echo.connections, Mode::Closed)?;
        let label = format!("check, {} connections", echo.connections);
        table.push(Row::load(label, &result, Some(echo))?);
    }
    let connections = baseline.loads.last().context("the baseline is empty")?.connections;
    let result = run(&sentinel, times, connections, Mode::Open { per_second: STEADY })?;
    table.push(Row::load("check, steady 1,000/s", &result, None)?);
    table.push(disk::measure(&sentinel.data, STEADY, times.measured)?);
    let time_to_ready = sentinel.server.time_to_ready();
    Ok((table, ProcessFigures { time_to_ready, idle, loaded: sentinel.server.memory()? }))
}

/// One load of checks.
pub(crate) fn run(
    sentinel: &Sentinel,
    times: Times,
    connections: usize,
    mode: Mode,
) -> anyhow::Result<load::LoadResult> {
    let request =
        sentinel.request("POST", "/policy/check", "agent")?.request(CHECK_BODY.as_bytes());
    let plan = times.plan(sentinel, connections, mode);
    load::run(&plan, &|_, buffer: &mut Vec<u8>| buffer.extend_from_slice(&request), &allowed_or_not)
}
