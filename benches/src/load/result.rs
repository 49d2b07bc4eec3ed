//! What a run counted.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{LoadPlan, Mode, Response, cpu::CpuCores};

/// The figures of one run. Latencies and the rate are of 2xx responses only: quick refusals would
/// make a failing server look fast.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LoadResult {
    pub(crate) connections: usize,
    pub(crate) mode: Mode,
    /// What the rate is taken over; longer than planned when requests due in the window were
    /// answered after it.
    pub(crate) seconds: f64,
    /// 2xx responses in the window.
    pub(crate) succeeded: u64,
    pub(crate) requests_per_second: f64,
    pub(crate) latency: Latency,
    /// From when requests were due to their sending: the part of the latency that comes from busy
    /// connections and from the generator itself. Zero in a closed loop.
    pub(crate) send_delay: Latency,
    pub(crate) by_status: BTreeMap<u16, u64>,
    pub(crate) by_outcome: BTreeMap<&'static str, u64>,
    pub(crate) failures: Failures,
    pub(crate) cpu_cores: CpuCores,
}

impl LoadResult {
    /// Everything that was not answered 2xx.
    pub(crate) fn errors(&self) -> u64 {
        let refused: u64 =
            self.by_status.iter().filter(|(code, _)| !is_2xx(**code)).map(|(_, count)| count).sum();
        refused + self.failures.total()
    }
}

fn is_2xx(status: u16) -> bool {
    (200..300).contains(&status)
}

/// Milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Latency {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Self { p50: at(0.50), p95: at(0.95), p99: at(0.99), max: histogram.max() as f64 / 1e3 }
    }
}

/// Requests that got no answer, or none that counts; over the whole run, warm-up included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Failures {
    /// Attempts to connect again that were refused.
    pub(crate) refused: u64,
    /// The connection was closed before the answer was complete.
    pub(crate) closed: u64,
    /// An answer that cannot be read, such as one without a length.
    pub(crate) malformed: u64,
    /// Still without an answer when the run was given up, 10 s after its end.
    pub(crate) unanswered: u64,
    /// Due before the end, but all connections were busy until the run was given up.
    pub(crate) unsent: u64,
    /// Answered with a status other than 2xx in the warm-up, or after the window.
    pub(crate) outside_window: u64,
}

impl Failures {
    pub(crate) fn total(&self) -> u64 {
        self.named().iter().map(|(_, count)| count).sum()
    }

    pub(crate) fn named(&self) -> [(&'static str, u64); 6] {
        let Self { refused, closed, malformed, unanswered, unsent, outside_window } = *self;
        [
            ("connections refused", refused),
            ("closed", closed),
            ("malformed", malformed),
            ("unanswered", unanswered),
            ("unsent", unsent),
            ("non-2xx outside the window", outside_window),
        ]
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Failure {
    Closed,
    Malformed,
}

/// Counts while a run goes on.
#[derive(Debug)]
pub(super) struct Tally {
    latency: Histogram<u64>,
    send_delay: Histogram<u64>,
    by_status: BTreeMap<u16, u64>,
    by_outcome: BTreeMap<&'static str, u64>,
    failures: Failures,
    in_flight: u64,
    last_received: Option<Instant>,
}

impl Tally {
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            latency: new_histogram()?,
            send_delay: new_histogram()?,
            by_status: BTreeMap::new(),
            by_outcome: BTreeMap::new(),
            failures: Failures::default(),
            in_flight: 0,
            last_received: None,
        })
    }

    pub(super) fn sent(&mut self) {
        self.in_flight += 1;
    }

    pub(super) fn answered(
        &mut self,
        response: &Response<'_>,
        outcome: Option<&'static str>,
        in_window: bool,
    ) {
        self.in_flight -= 1;
        let success = is_2xx(response.status);
        if !in_window {
            self.failures.outside_window += u64::from(!success);
            return;
        }
        *self.by_status.entry(response.status).or_default() += 1;
        if let Some(outcome) = outcome {
            *self.by_outcome.entry(outcome).or_default() += 1;
        }
        if success {
            record(&mut self.latency, response.received.duration_since(response.due));
            record(&mut self.send_delay, response.sent.duration_since(response.due));
            self.last_received = Some(response.received);
        }
    }

    pub(super) fn failed(&mut self, failure: Failure) {
        self.in_flight -= 1;
        match failure {
            Failure::Closed => self.failures.closed += 1,
            Failure::Malformed => self.failures.malformed += 1,
        }
    }

    pub(super) fn refused(&mut self) {
        self.failures.refused += 1;
    }

    pub(super) fn finish(
        self,
        plan: &LoadPlan,
        window_start: Instant,
        unsent: u64,
        cpu_cores: CpuCores,
    ) -> LoadResult {
        let answering = self.last_received.map(|last| last.duration_since(window_start));
        let seconds = plan.measured.max(answering.unwrap_or_default()).as_secs_f64();
        let succeeded = self.latency.len();
        LoadResult {
            connections: plan.connections,
            mode: plan.mode,
            seconds,
            succeeded,
            requests_per_second: succeeded as f64 / seconds,
            latency: Latency::of(&self.latency),
            send_delay: Latency::of(&self.send_delay),
            by_status: self.by_status,
            by_outcome: self.by_outcome,
            failures: Failures { unanswered: self.in_flight, unsent, ..self.failures },
            cpu_cores,
        }
    }
}

/// Microseconds, to three digits, up to a minute.
fn new_histogram() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000, 3)?)
}

fn record(histogram: &mut Histogram<u64>, time: Duration) {
    // A longer time than the histogram holds counts as its longest.
    histogram.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
}
