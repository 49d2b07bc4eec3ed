//! The MCP gateway with everything on: key, policy, quota, durable audit, a signature for each
//! outcome. Beside it, in turn and on the same cores, its upstream alone and a bare proxy; then each
//! feature off, memory with many sessions, lists of many upstreams, and other gateways.

mod bounds;
mod features;
mod governed;
mod lists;
mod pairs;
mod peers;
mod sessions;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::ensure;

use self::bounds::Bounds;
use super::Times;
use crate::{
    load::{self, LoadPlan, LoadResult, Mode},
    mcp::{self, Calls},
    report::{Column, Format, Table},
    sentinel::Product,
};

/// The steady rate at which latency is promised, per second.
const STEADY: f64 = 1000.0;
const FEW: usize = 16;
const MANY: usize = 64;

/// Measures everything; each table goes to `add` as soon as it is complete.
///
/// # Errors
/// When something cannot be started, or calls fail. A bound that is missed is no error: the last
/// table says so.
pub(crate) fn measure(
    product: &Product,
    times: Times,
    peers: &Path,
    add: &mut impl FnMut(Table),
) -> anyhow::Result<()> {
    let mut bounds = Bounds::default();
    add(pairs::measure(product, times, &mut bounds)?);
    add(features::measure(product, times)?);
    add(sessions::measure(product, &mut bounds)?);
    add(lists::measure(product, &mut bounds)?);
    add(peers::measure(product, times, peers, &mut bounds)?);
    add(bounds.table());
    Ok(())
}

/// A server that calls can be sent to.
#[derive(Debug)]
struct Target {
    label: String,
    address: SocketAddr,
    pid: u32,
    calls: Calls,
}

impl Target {
    /// One load, of which every call must come back with its own text.
    fn load(&self, times: Times, connections: usize, mode: Mode) -> anyhow::Result<LoadResult> {
        let result = self.try_load(times, connections, mode)?;
        ensure!(result.errors() == 0, "{}: {} calls failed", self.label, result.errors());
        let wrong = result.by_outcome.get("not echoed").copied().unwrap_or_default();
        ensure!(wrong == 0, "{}: {wrong} calls were not carried out", self.label);
        Ok(result)
    }

    fn try_load(&self, times: Times, connections: usize, mode: Mode) -> anyhow::Result<LoadResult> {
        let plan = LoadPlan {
            addresses: vec![self.address],
            connections,
            mode,
            warm_up: times.warm_up,
            measured: times.measured,
            server_pid: Some(self.pid),
        };
        load::run(&plan, &|number, buffer| self.calls.write(number, buffer), &mcp::echoed_or_not)
    }
}

/// A folder in memory, on which durability costs nothing. It is deleted on drop.
#[derive(Debug)]
struct InMemory(PathBuf);

impl InMemory {
    fn new(name: &str) -> anyhow::Result<Self> {
        let folder = format!("/dev/shm/sentinel-bench-{}-{name}", std::process::id());
        fs::create_dir_all(&folder)?;
        Ok(Self(folder.into()))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for InMemory {
    fn drop(&mut self) {
        // What is left there would only take memory.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The time of a measurement, divided among so many runs.
fn divided(times: Times, runs: u32) -> Times {
    let warm_up = (times.warm_up / runs).max(Duration::from_millis(300));
    Times { warm_up, measured: times.measured / runs }
}

/// Microseconds of CPU that the server's process took for each call: a busy machine changes it less
/// than it changes rates.
fn cpu_per_call(run: &LoadResult) -> f64 {
    run.cpu_cores.server.unwrap_or_default() * 1e6 / run.requests_per_second
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

const fn column(key: &'static str, heading: &'static str, format: Format) -> Column {
    Column { key, heading, format }
}
