//! The first list of tools of ten upstreams, one of which is slow.

use std::{net::SocketAddr, time::Instant};

use anyhow::ensure;

use super::{
    Bounds, column,
    governed::{Place, Setup},
    median,
};
use crate::{
    mcp::{self, Era, client::Client, upstream},
    report::{Column, Format, Row, Table},
    sentinel::Product,
};

const UPSTREAMS: usize = 10;
/// Tools of each.
const TOOLS: usize = 10;
/// Milliseconds that the slow one takes for each response.
const SLOW_MS: u64 = 200;
const RUNS: usize = 5;

const COLUMNS: &[Column] = &[
    column("list_ms", "list ms", Format::Number(1)),
    column("slowest_ms", "slowest ms", Format::Number(1)),
    column("added_ms", "added ms", Format::Number(1)),
    column("least_ms", "least", Format::Number(1)),
    column("most_ms", "most", Format::Number(1)),
];

pub(super) fn measure(product: &Product, bounds: &mut Bounds) -> anyhow::Result<Table> {
    let mut servers = Vec::with_capacity(UPSTREAMS);
    let mut upstreams = Vec::with_capacity(UPSTREAMS);
    for number in 0..UPSTREAMS {
        let delay_ms = if number == 0 { SLOW_MS } else { 0 };
        let options = upstream::Options { delay_ms, tools: TOOLS - 1, legacy: false };
        let (server, address) = upstream::start(&options)?;
        servers.push(server);
        upstreams.push((format!("up{number}"), address));
    }
    let slow = upstreams.first().map(|(_, address)| *address);
    let slow = slow.ok_or_else(|| anyhow::anyhow!("no upstream"))?;
    let (mut first, mut again) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let place = Place::new(product, &Setup::usual("lists"), &upstreams)?;
        first.push(cold(&place, slow)?);
        again.push(cold(&place, slow)?);
    }
    let mut table = Table::new("first list of ten upstreams, one of them slow", COLUMNS);
    table.push(row("tools never seen before", &first)?);
    table.push(row("tools known, server started again", &again)?);
    let worse = [&first, &again].map(|runs| median(runs.iter().map(Run::added).collect()));
    let worse = worse.into_iter().flatten().reduce(f64::max);
    bounds.at_most("ms that a cold list of ten takes longer than the slowest", worse, 50.0);
    Ok(table)
}

/// Milliseconds.
#[derive(Debug, Clone, Copy, serde::Serialize)]
struct Run {
    list: f64,
    slowest: f64,
}

impl Run {
    fn added(&self) -> f64 {
        self.list - self.slowest
    }
}

/// Starts the server, and asks for its first list.
fn cold(place: &Place, slow: SocketAddr) -> anyhow::Result<Run> {
    let governed = place.start()?;
    let began = Instant::now();
    let listed = governed.list()?;
    let list = began.elapsed().as_secs_f64() * 1e3;
    let count = listed.matches("\"inputSchema\"").count();
    ensure!(count == UPSTREAMS * TOOLS, "{count} tools are listed");
    Ok(Run { list, slowest: directly(slow)? })
}

/// What a client without a gateway needs for the list of one server: it asks what it speaks, then
/// what it has.
fn directly(address: SocketAddr) -> anyhow::Result<f64> {
    let began = Instant::now();
    let mut client = Client::connect(address)?;
    for method in ["server/discover", "tools/list"] {
        let head = mcp::head(address, upstream::PATH, Era::Modern).header("mcp-method", method);
        client.succeed(&head, &mcp::plain_request(method, Era::Modern))?;
    }
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

fn row(label: &str, runs: &[Run]) -> anyhow::Result<Row> {
    let added: Vec<_> = runs.iter().map(Run::added).collect();
    let figures = vec![
        median(runs.iter().map(|run| run.list).collect()),
        median(runs.iter().map(|run| run.slowest).collect()),
        median(added.clone()),
        added.iter().copied().reduce(f64::min),
        added.iter().copied().reduce(f64::max),
    ];
    let detail = serde_json::to_value(runs)?;
    Ok(Row { label: label.to_owned(), figures, remarks: Vec::new(), detail })
}
