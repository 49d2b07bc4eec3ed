//! How long a kill takes under full load, and when the last allow arrives after it.

use std::{
    cell::RefCell,
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};

use super::Times;
use crate::{
    CHECK_BODY,
    load::{self, LoadPlan, Mode, Response},
    report::{Column, Format, Row, Table},
    sentinel::{Product, Sentinel},
};

const CONNECTIONS: usize = 128;
const KILLS: usize = 100;
/// Between a kill and its restore, and between that and the next kill.
const PAUSE: Duration = Duration::from_millis(40);

const COLUMNS: &[Column] = &[
    column("p50_ms", "p50 ms", Format::Number(2)),
    column("p99_ms", "p99 ms", Format::Number(2)),
    column("max_ms", "max ms", Format::Number(2)),
];

const fn column(key: &'static str, heading: &'static str, format: Format) -> Column {
    Column { key, heading, format }
}

/// A kill as its sender saw it, and the moment its end was asked for.
#[derive(Debug, Clone, Copy)]
struct Killed {
    sent: Instant,
    acknowledged: Instant,
    restored: Instant,
}

/// An allow as its receiver saw it.
#[derive(Debug, Clone, Copy)]
struct Allowed {
    sent: Instant,
    received: Instant,
}

/// Kills and restores one tool under a load of checks of it.
pub(crate) fn measure(product: &Product, times: Times) -> anyhow::Result<Table> {
    let sentinel = product.start("kills")?;
    let (kills, allows) = run(&sentinel, times)?;
    let violations = allows
        .iter()
        .filter(|allow| {
            kills.iter().any(|k| k.acknowledged < allow.sent && allow.received < k.restored)
        })
        .count();
    let mut table = Table::new("kills under a load of 128 connections", COLUMNS);
    let round_trip = kills.iter().map(|kill| kill.acknowledged - kill.sent).collect();
    let mut row = figures("kill, sent to acknowledged", round_trip);
    row.remarks.push(format!(
        "{violations} allows of checks sent after a kill was acknowledged, {} allows in all, {} kills",
        allows.len(),
        kills.len()
    ));
    table.push(row);
    let last = kills.iter().map(|kill| last_allow(kill, &allows)).collect();
    table.push(figures("kill acknowledged to last allow received (sent before)", last));
    ensure!(violations == 0, "{violations} checks were allowed after a kill was acknowledged");
    Ok(table)
}

/// How long after the acknowledgement the last allow of a check that was under way arrived.
fn last_allow(kill: &Killed, allows: &[Allowed]) -> Duration {
    let under_way = |allow: &&Allowed| {
        allow.sent <= kill.acknowledged
            && kill.acknowledged < allow.received
            && allow.received < kill.restored
    };
    let last = allows.iter().filter(under_way).map(|allow| allow.received).max();
    last.map_or(Duration::ZERO, |received| received - kill.acknowledged)
}

fn run(sentinel: &Sentinel, times: Times) -> anyhow::Result<(Vec<Killed>, Vec<Allowed>)> {
    let target =
        br#"{"tenant_slug":"platform-eng","tool_name":"langsmith-docs-search","reason":"bench"}"#;
    let restore = br#"{"tenant_slug":"platform-eng","tool_name":"langsmith-docs-search"}"#;
    let kill = sentinel.request("POST", "/kill", "operator")?.request(target);
    let restore = sentinel.request("POST", "/kill/restore", "operator")?.request(restore);
    let address = sentinel.address;
    let killer = thread::spawn(move || -> anyhow::Result<Vec<Killed>> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        thread::sleep(times.warm_up);
        let mut kills = Vec::with_capacity(KILLS);
        for _ in 0..KILLS {
            let (sent, acknowledged) = exchange(&mut stream, &kill)?;
            thread::sleep(PAUSE);
            let (restored, _) = exchange(&mut stream, &restore)?;
            kills.push(Killed { sent, acknowledged, restored });
            thread::sleep(PAUSE);
        }
        Ok(kills)
    });
    let request =
        sentinel.request("POST", "/policy/check", "agent")?.request(CHECK_BODY.as_bytes());
    let allows = RefCell::new(Vec::new());
    let plan = LoadPlan {
        measured: PAUSE * u32::try_from(3 * KILLS)?,
        ..times.plan(sentinel, CONNECTIONS, Mode::Closed)
    };
    let observe = |_, response: &Response<'_>| {
        if response.body_contains("\"allow\":true") {
            allows.borrow_mut().push(Allowed { sent: response.sent, received: response.received });
        }
        None
    };
    load::run(&plan, &|_, buffer: &mut Vec<u8>| buffer.extend_from_slice(&request), &observe)?;
    let kills = killer.join().map_err(|_| anyhow::anyhow!("the killing thread panicked"))??;
    Ok((kills, allows.into_inner()))
}

/// Sends a request and reads its answer; when it was sent and when the answer was there.
fn exchange(stream: &mut TcpStream, request: &[u8]) -> anyhow::Result<(Instant, Instant)> {
    let sent = Instant::now();
    stream.write_all(request)?;
    let mut answer = [0; 16 * 1024];
    let length = stream.read(&mut answer)?;
    let received = Instant::now();
    let start = answer.get(..length.min(12)).context("no answer")?;
    ensure!(
        start == b"HTTP/1.1 200",
        "the kill switch answered {}",
        String::from_utf8_lossy(start)
    );
    Ok((sent, received))
}

fn figures(label: &str, mut times: Vec<Duration>) -> Row {
    times.sort_unstable();
    let at = |percent: usize| {
        let index = times.len().saturating_sub(1) * percent / 100;
        times.get(index).map(|time| time.as_secs_f64() * 1e3)
    };
    let detail = serde_json::json!({ "ms": times.iter().map(|t| t.as_secs_f64() * 1e3).collect::<Vec<_>>() });
    let figures = vec![at(50), at(99), at(100)];
    Row { label: label.to_owned(), figures, remarks: Vec::new(), detail }
}
