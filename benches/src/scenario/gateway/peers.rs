//! Other gateways in front of the same upstream, in turn with ours. They neither decide nor record.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::ensure;
use serde::Deserialize;

use super::{
    Bounds, FEW, InMemory, Target, column, divided,
    governed::{Governed, Setup},
    median,
};
use crate::{
    load::{LoadResult, Mode},
    mcp::{self, Calls, Era, client::Client, upstream},
    report::{Column, Format, Row, Table},
    scenario::Times,
    sentinel::Product,
    server::Server,
};

const RUNS: u32 = 3;
/// They load hundreds of modules, and one of them sets up a database (in memory, or that would take
/// minutes).
const PATIENCE: Duration = Duration::from_secs(180);

/// They answer few calls a second, and the first ones late.
const WARM_UP: Duration = Duration::from_secs(2);
const LEAST: Duration = Duration::from_secs(8);

struct Peer {
    label: &'static str,
    script: &'static str,
    bound: &'static str,
    times: f64,
}

const PEERS: [Peer; 2] = [
    Peer {
        label: "FastMCP proxy",
        script: "benches/peers/fastmcp_proxy.py",
        bound: "times the FastMCP proxy",
        times: 200.0,
    },
    Peer {
        label: "IBM ContextForge",
        script: "benches/peers/contextforge.py",
        bound: "times IBM ContextForge",
        times: 50.0,
    },
];

const COLUMNS: &[Column] = &[
    column("calls_per_second", "calls/s", Format::Number(0)),
    column("p50_ms", "p50 ms", Format::Number(2)),
    column("p99_ms", "p99 ms", Format::Number(2)),
    column("errors", "errors", Format::Number(0)),
    column("resident_mb", "MB", Format::Number(0)),
    column("gateway_per_second", "gateway/s", Format::Number(0)),
    column("times", "times", Format::Number(1)),
];

/// What a peer's script prints when it serves.
#[derive(Debug, Deserialize)]
struct Ready {
    address: SocketAddr,
    path: String,
    /// As the peer calls it.
    tool: String,
}

pub(super) fn measure(
    product: &Product,
    times: Times,
    environment: &Path,
    bounds: &mut Bounds,
) -> anyhow::Result<Table> {
    let (_upstream, address) = upstream::start(&upstream::Options::default())?;
    let governed = Governed::start(product, &Setup::usual("peers"), address)?;
    let gateway = governed.target("gateway", Era::Modern)?;
    let mut table = Table::new("other gateways, 16 connections", COLUMNS);
    for peer in PEERS {
        let measured = measure_one(&peer, environment, address, &gateway, times);
        let row = measured.unwrap_or_else(|error| not_measured(peer.label, &error));
        bounds.at_least(peer.bound, row.figures.last().copied().flatten(), peer.times);
        table.push(row);
    }
    Ok(table)
}

fn measure_one(
    peer: &Peer,
    environment: &Path,
    upstream: SocketAddr,
    gateway: &Target,
    times: Times,
) -> anyhow::Result<Row> {
    let python = environment.join("bin/python");
    ensure!(python.exists(), "no {}; run `scripts/install.sh peers`", python.display());
    let folder = InMemory::new("peers")?;
    let mut command = Command::new(python);
    command
        .arg(peer.script)
        .arg(format!("http://{upstream}{}", upstream::PATH))
        .arg(folder.path())
        .stderr(Stdio::null());
    let ready = |line: &str| serde_json::from_str::<Ready>(line).ok();
    let (server, Ready { address, path, tool }) = Server::start_group(PATIENCE, command, ready)?;
    let head = mcp::call_head(address, &path, Era::Modern, &tool);
    // One that says that it serves may not be there yet.
    let first = Client::connect(address)?.succeed(&head, &mcp::call_body(0, &tool, Era::Modern))?;
    ensure!(first.body.contains("of the bench"), "it did not carry out a call: {}", first.body);
    let calls = Calls { heads: vec![head], era: Era::Modern, tool };
    let label = peer.label.to_owned();
    let target = Target { label, address, pid: server.pid(), calls };
    let Times { warm_up, measured } = divided(times, RUNS);
    let (warm_up, measured) = (warm_up.max(WARM_UP), measured.max(LEAST));
    let times = Times { warm_up, measured };
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        let theirs = target.try_load(times, FEW, Mode::Closed)?;
        let echoed = theirs.by_outcome.get("echoed").copied().unwrap_or_default();
        let failed = (&theirs.by_status, theirs.failures);
        ensure!(echoed > 0, "it carried out no call in {measured:?}: {failed:?}");
        runs.push((theirs, gateway.load(times, FEW, Mode::Closed)?));
    }
    row(peer.label, &runs, &server)
}

fn row(label: &str, runs: &[(LoadResult, LoadResult)], server: &Server) -> anyhow::Result<Row> {
    let of =
        |figure: fn(&LoadResult) -> f64| median(runs.iter().map(|run| figure(&run.0)).collect());
    let rate = |result: &LoadResult| result.requests_per_second;
    let errors: u64 = runs.iter().map(|(theirs, _)| theirs.errors()).sum();
    let figures = vec![
        of(|run| run.requests_per_second),
        of(|run| run.latency.p50),
        of(|run| run.latency.p99),
        Some(errors as f64),
        Some(server.memory()?.resident as f64 / 1e6),
        median(runs.iter().map(|(_, gateway)| rate(gateway)).collect()),
        median(runs.iter().map(|(theirs, gateway)| rate(gateway) / rate(theirs)).collect()),
    ];
    let detail = serde_json::to_value(runs)?;
    Ok(Row { label: label.to_owned(), figures, remarks: Vec::new(), detail })
}

fn not_measured(label: &str, error: &anyhow::Error) -> Row {
    Row {
        label: label.to_owned(),
        figures: vec![None; COLUMNS.len()],
        remarks: vec![format!("not measured: {error}")],
        detail: serde_json::Value::Null,
    }
}
