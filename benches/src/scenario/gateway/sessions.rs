//! Resident memory with a thousand clients.

use super::{
    Bounds, column,
    governed::{Governed, Setup},
};
use crate::{
    mcp::{self, Era, client::Client, upstream},
    report::{Column, Format, Row, Table},
    scenario::stuck::allow_connections,
    sentinel::Product,
};

const SESSIONS: usize = 1000;
/// One key may have 100 streams by default, and all together a thousand.
const STREAMS: &str = "max_event_streams: 4000\nmax_event_streams_per_key: 2000";

const COLUMNS: &[Column] = &[
    column("resident_mb", "resident MB", Format::Number(1)),
    column("peak_mb", "peak MB", Format::Number(1)),
];

pub(super) fn measure(product: &Product, bounds: &mut Bounds) -> anyhow::Result<Table> {
    allow_connections()?;
    let (_upstream, address) = upstream::start(&upstream::Options::default())?;
    let mut table = Table::new("memory with 1,000 clients, each with a list and a call", COLUMNS);
    let setup = Setup { lines: STREAMS.to_owned(), ..Setup::usual("sessions") };
    let governed = Governed::start(product, &setup, address)?;
    table.push(row("no client", &governed)?);
    let mut connections = Vec::with_capacity(SESSIONS);
    for _ in 0..SESSIONS {
        connections.push(session(&governed)?);
    }
    let held = governed.server.memory()?.resident as f64 / 1e6;
    bounds.at_most("MB resident with 1,000 sessions", Some(held), 80.0);
    table.push(row("1,000 sessions of the legacy era, one connection each", &governed)?);
    let mut streams = Vec::with_capacity(SESSIONS);
    for (_, id) in &connections {
        let mut client = Client::connect(governed.address)?;
        client.open_stream(&governed.stream_head(id), "")?;
        streams.push(client);
    }
    table.push(row("the same, and the stream of each open", &governed)?);
    drop((connections, streams));
    drop(governed);
    let governed = Governed::start(product, &setup, address)?;
    let mut connections = Vec::with_capacity(SESSIONS);
    for _ in 0..SESSIONS {
        let mut client = Client::connect(governed.address)?;
        let head = governed.head(Era::Modern).header("mcp-method", "tools/list");
        client.succeed(&head, &mcp::plain_request("tools/list", Era::Modern))?;
        call(&governed, &mut client, Era::Modern, None)?;
        connections.push(client);
    }
    table.push(row("1,000 connections of the modern era", &governed)?);
    Ok(table)
}

/// A session in which the tools were listed and one was called, with its connection.
fn session(governed: &Governed) -> anyhow::Result<(Client, String)> {
    let mut client = Client::connect(governed.address)?;
    let id = governed.begin_session(&mut client)?;
    let head = governed.in_session(&id);
    client.succeed(&head, &mcp::plain_request("tools/list", Era::Legacy))?;
    call(governed, &mut client, Era::Legacy, Some(&id))?;
    Ok((client, id))
}

fn call(
    governed: &Governed,
    client: &mut Client,
    era: Era,
    session: Option<&str>,
) -> anyhow::Result<()> {
    let head = match session {
        Some(id) => governed.in_session(id),
        None => governed.call_head(),
    };
    client.succeed(&head, &mcp::call_body(2, &Governed::tool(), era))?;
    Ok(())
}

fn row(label: &str, governed: &Governed) -> anyhow::Result<Row> {
    let memory = governed.server.memory()?;
    let figures = [memory.resident, memory.peak].map(|bytes| Some(bytes as f64 / 1e6)).to_vec();
    let detail = serde_json::to_value(memory)?;
    Ok(Row { label: label.to_owned(), figures, remarks: Vec::new(), detail })
}
