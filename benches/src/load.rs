//! A lean HTTP/1.1 load generator: one thread, keep-alive connections, one request in flight on
//! each. It does as little as it can for a request, because it shares the cores with the server.

mod connection;
mod cpu;
mod request;
mod response;
mod result;
mod timer;

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use futures::stream::{FuturesUnordered, TryStreamExt as _};
use serde::Serialize;
use tokio::{
    runtime,
    task::coop::unconstrained,
    time::{sleep, sleep_until, timeout_at},
};

use self::{
    connection::Connection,
    cpu::{CpuCores, CpuTimes},
    result::Tally,
    timer::Timer,
};
pub(crate) use self::{
    request::RequestHead,
    response::Response,
    result::{Latency, LoadResult},
};
use crate::server::cpu_time;

/// How long requests due before the end may still take before they are given up.
const GRACE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });
/// Pause before the next attempt when a connection was refused.
const RECONNECT_PAUSE: Duration = Duration::from_millis(10);

/// One run against one server, or several with the same state.
#[derive(Debug, Clone)]
pub(crate) struct LoadPlan {
    /// The connections take turns among them.
    pub(crate) addresses: Vec<SocketAddr>,
    /// Kept open, each, for the whole run.
    pub(crate) connections: usize,
    pub(crate) mode: Mode,
    /// Load before the measured window. Its responses are not counted, its failures are.
    pub(crate) warm_up: Duration,
    /// Length of the measured window.
    pub(crate) measured: Duration,
    /// The server's process, whose use of CPU is then part of the result.
    pub(crate) server_pid: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// Each connection sends when it has its answer. Latency counts from the sending; answers that
    /// arrive within the window are counted.
    Closed,
    /// Requests fall due at a steady rate whatever the server does, and any free connection takes
    /// the next. Latency counts from when a request was *due*, so one that waited because all
    /// connections were busy shows that wait; requests due within the window are counted.
    Open { per_second: f64 },
}

/// For scenarios in which nothing in the body matters.
pub(crate) fn ignore_answers(_: u64, _: &Response<'_>) -> Option<&'static str> {
    None
}

/// Runs `plan` on this thread, for the warm-up and the measured time.
///
/// `write` appends request number `sequence` (0, 1, … across all connections, warm-up included) to
/// an empty buffer, as bytes of HTTP/1.1. `observe` gets every answer with the number of its
/// request, in the warm-up too, and may name its outcome; those of the window are counted by name.
///
/// # Errors
/// When the plan is impossible, or the server refuses the first connections. Whatever fails later
/// is counted in the result.
pub(crate) fn run(
    plan: &LoadPlan,
    write: &impl Fn(u64, &mut Vec<u8>),
    observe: &impl Fn(u64, &Response<'_>) -> Option<&'static str>,
) -> anyhow::Result<LoadResult> {
    ensure!(plan.connections > 0, "a load needs at least one connection");
    ensure!(plan.measured > Duration::ZERO, "a load needs some time to measure");
    if let Mode::Open { per_second } = plan.mode {
        ensure!(per_second.is_finite() && per_second > 0.0, "`{per_second}` is not a rate");
    }
    if let Some(pid) = plan.server_pid {
        cpu_time(pid)?;
    }
    runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut connections = Vec::with_capacity(plan.connections);
        for address in plan.addresses.iter().cycle().take(plan.connections) {
            let connection = Connection::open(*address).await;
            connections.push(connection.with_context(|| format!("cannot connect to {address}"))?);
        }
        let start = Instant::now();
        let window_start = start + plan.warm_up;
        let end = window_start + plan.measured;
        let next = Cell::new(0);
        let tally = RefCell::new(Tally::new()?);
        let run = Run { plan, write, observe, start, window_start, end, next, tally };
        // The budget that tokio gives a task would only add wake-ups: there is no other task.
        unconstrained(run.drive_all(connections)).await
    })
}

/// What all connections of a run share.
struct Run<'a, W, O> {
    plan: &'a LoadPlan,
    write: &'a W,
    observe: &'a O,
    start: Instant,
    window_start: Instant,
    end: Instant,
    next: Cell<u64>,
    tally: RefCell<Tally>,
}

impl<W, O> Run<'_, W, O>
where
    W: Fn(u64, &mut Vec<u8>),
    O: Fn(u64, &Response<'_>) -> Option<&'static str>,
{
    async fn drive_all(self, connections: Vec<Connection>) -> anyhow::Result<LoadResult> {
        let driving: FuturesUnordered<_> =
            connections.into_iter().map(|connection| self.drive(connection)).collect();
        let (drained, cpu) = tokio::join!(
            timeout_at((self.end + GRACE).into(), driving.try_collect::<()>()),
            self.cpu_in_window(),
        );
        // When the grace has passed, what is still in flight is counted as unanswered.
        if let Ok(result) = drained {
            result?;
        }
        let unsent = self.due_in_all().saturating_sub(self.next.get());
        Ok(self.tally.into_inner().finish(self.plan, self.window_start, unsent, cpu))
    }

    /// Sends request after request on one connection until the end.
    async fn drive(&self, mut connection: Connection) -> anyhow::Result<()> {
        let timer = match self.plan.mode {
            Mode::Closed => None,
            Mode::Open { .. } => Some(Timer::new().context("cannot make a timer")?),
        };
        loop {
            let sequence = self.next.replace(self.next.get() + 1);
            let due = self.due(sequence);
            if let Some((timer, due)) = timer.as_ref().zip(due)
                && due < self.end
            {
                timer.wait_until(due).await?;
            }
            connection.prepare(|buffer| (self.write)(sequence, buffer));
            let sent = Instant::now();
            let due = due.unwrap_or(sent);
            if due >= self.end {
                return Ok(());
            }
            self.tally.borrow_mut().sent();
            match connection.exchange().await {
                Ok((status, body)) => {
                    let response = Response { status, body, due, sent, received: Instant::now() };
                    let outcome = (self.observe)(sequence, &response);
                    let in_window = self.in_window(&response);
                    self.tally.borrow_mut().answered(&response, outcome, in_window);
                }
                Err(failure) => {
                    self.tally.borrow_mut().failed(failure);
                    let Some(next) = self.reconnect(connection.address).await else {
                        return Ok(());
                    };
                    connection = next;
                }
            }
        }
    }

    /// When a request falls due, if that is fixed in advance.
    fn due(&self, sequence: u64) -> Option<Instant> {
        match self.plan.mode {
            Mode::Closed => None,
            Mode::Open { per_second } => {
                Some(self.start + Duration::from_secs_f64(sequence as f64 / per_second))
            }
        }
    }

    /// How many requests fall due before the end, where that is fixed in advance.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float that is too large becomes the largest integer, none is negative"
    )]
    fn due_in_all(&self) -> u64 {
        match self.plan.mode {
            Mode::Closed => 0,
            Mode::Open { per_second } => {
                ((self.plan.warm_up + self.plan.measured).as_secs_f64() * per_second) as u64
            }
        }
    }

    fn in_window(&self, response: &Response<'_>) -> bool {
        let counted_at = match self.plan.mode {
            Mode::Closed => response.received,
            Mode::Open { .. } => response.due,
        };
        (self.window_start..self.end).contains(&counted_at)
    }

    /// A new connection, however often that takes; `None` when the end comes first.
    async fn reconnect(&self, address: SocketAddr) -> Option<Connection> {
        while Instant::now() < self.end {
            if let Ok(connection) = Connection::open(address).await {
                return Some(connection);
            }
            self.tally.borrow_mut().refused();
            sleep(RECONNECT_PAUSE).await;
        }
        None
    }

    async fn cpu_in_window(&self) -> CpuCores {
        sleep_until(self.window_start.into()).await;
        let (started, before) = (Instant::now(), CpuTimes::now(self.plan.server_pid));
        sleep_until(self.end.into()).await;
        let after = CpuTimes::now(self.plan.server_pid);
        CpuCores::between(&before, &after, started.elapsed())
    }
}

#[cfg(test)]
mod tests;
