//! How long a kill takes under full load, and when the last allow arrives after it.

use std::{
    cell::{Cell, RefCell},
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};

use super::Times;
use crate::{
    CHECK_BODY,
    load::{self, LoadPlan, Mode, Response},
    report::{Column, Format, Row, Table},
    sentinel::Product,
};

pub(super) const CONNECTIONS: usize = 128;
const KILLS: usize = 100;
/// Bodies that stop, and start again, what [`CHECK_BODY`] asks for.
pub(super) const KILL: &[u8] =
    br#"{"tenant_slug":"platform-eng","tool_name":"langsmith-docs-search","reason":"bench"}"#;
pub(super) const RESTORE: &[u8] =
    br#"{"tenant_slug":"platform-eng","tool_name":"langsmith-docs-search"}"#;
/// Between a kill and its restore, and between that and the next kill.
const PAUSE: Duration = Duration::from_millis(40);

pub(super) const COLUMNS: &[Column] = &[
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

/// What is sent, over and over.
#[derive(Debug)]
pub(super) struct Requests {
    pub(super) check: Vec<u8>,
    pub(super) kill: Vec<u8>,
    pub(super) restore: Vec<u8>,
}

/// What was seen while one tool was killed and restored again and again.
#[derive(Debug)]
pub(super) struct Seen {
    kills: Vec<Killed>,
    allows: Vec<Allowed>,
    pub(super) checks: u64,
}

impl Seen {
    pub(super) fn kills(&self) -> usize {
        self.kills.len()
    }

    pub(super) fn allows(&self) -> usize {
        self.allows.len()
    }

    /// Allows of checks that were sent when a kill had been answered and were answered before its
    /// end was asked for.
    pub(super) fn violations(&self) -> usize {
        let killed = |allow: &&Allowed| {
            let kills = &mut self.kills.iter();
            kills.any(|k| k.acknowledged < allow.sent && allow.received < k.restored)
        };
        self.allows.iter().filter(killed).count()
    }

    pub(super) fn round_trips(&self) -> Vec<Duration> {
        self.kills.iter().map(|kill| kill.acknowledged - kill.sent).collect()
    }
}

/// Kills and restores one tool under a load of checks of it.
pub(crate) fn measure(product: &Product, times: Times) -> anyhow::Result<Table> {
    let sentinel = product.start("kills")?;
    let requests = Requests {
        check: sentinel.request("POST", "/policy/check", "agent")?.request(CHECK_BODY.as_bytes()),
        kill: sentinel.request("POST", "/kill", "operator")?.request(KILL),
        restore: sentinel.request("POST", "/kill/restore", "operator")?.request(RESTORE),
    };
    let seen = run(times.plan(&sentinel, CONNECTIONS, Mode::Closed), &requests)?;
    let violations = seen.violations();
    let mut table = Table::new("kills under a load of 128 connections", COLUMNS);
    let mut row = figures("kill, sent to acknowledged", seen.round_trips());
    row.remarks.push(format!(
        "{violations} allows of checks sent after a kill was acknowledged, {} allows in all, {} kills",
        seen.allows(),
        seen.kills()
    ));
    table.push(row);
    let last = seen.kills.iter().map(|kill| last_allow(kill, &seen.allows)).collect();
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

/// Loads the servers of `plan` with checks, and kills and restores at each of them in turn, a kill
/// at one and its restore at the next. Only the warm-up of the plan counts: the rest is as long as
/// the kills take.
pub(super) fn run(plan: LoadPlan, requests: &Requests) -> anyhow::Result<Seen> {
    let (kill, restore) = (requests.kill.clone(), requests.restore.clone());
    let (addresses, warm_up) = (plan.addresses.clone(), plan.warm_up);
    let killer = thread::spawn(move || -> anyhow::Result<Vec<Killed>> {
        let mut streams = addresses.iter().map(connect).collect::<anyhow::Result<Vec<_>>>()?;
        let count = streams.len();
        let mut turn = (0..count).cycle();
        let mut send = |request: &[u8]| {
            let stream = turn.next().and_then(|turn| streams.get_mut(turn)).context("no server")?;
            exchange(stream, request)
        };
        thread::sleep(warm_up);
        let mut kills = Vec::with_capacity(KILLS);
        for _ in 0..KILLS {
            let (sent, acknowledged) = send(&kill)?;
            thread::sleep(PAUSE);
            let (restored, _) = send(&restore)?;
            kills.push(Killed { sent, acknowledged, restored });
            thread::sleep(PAUSE);
        }
        Ok(kills)
    });
    let (allows, checks) = (RefCell::new(Vec::new()), Cell::new(0));
    let plan = LoadPlan { measured: PAUSE * u32::try_from(3 * KILLS)?, ..plan };
    let observe = |_, response: &Response<'_>| {
        checks.set(checks.get() + u64::from(response.status == 200));
        if response.body_contains("\"allow\":true") {
            allows.borrow_mut().push(Allowed { sent: response.sent, received: response.received });
        }
        None
    };
    let write = |_, buffer: &mut Vec<u8>| buffer.extend_from_slice(&requests.check);
    load::run(&plan, &write, &observe)?;
    let kills = killer.join().map_err(|_| anyhow::anyhow!("the killing thread panicked"))??;
    Ok(Seen { kills, allows: allows.into_inner(), checks: checks.get() })
}

pub(super) fn connect(address: &SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends a request and reads its answer; when it was sent and when the answer was there.
pub(super) fn exchange(
    stream: &mut TcpStream,
    request: &[u8],
) -> anyhow::Result<(Instant, Instant)> {
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

pub(super) fn figures(label: &str, mut times: Vec<Duration>) -> Row {
    times.sort_unstable();
    let at = |percent: usize| {
        let index = times.len().saturating_sub(1) * percent / 100;
        times.get(index).map(|time| time.as_secs_f64() * 1e3)
    };
    let detail = serde_json::json!({ "ms": times.iter().map(|t| t.as_secs_f64() * 1e3).collect::<Vec<_>>() });
    let figures = vec![at(50), at(99), at(100)];
    Row { label: label.to_owned(), figures, remarks: Vec::new(), detail }
}
