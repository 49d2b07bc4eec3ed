//! Who kept the cores busy: without this, a slow generator or a busy machine looks like a slow
//! server.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::server::{cpu_time, machine_cpu_time};

/// Cores kept busy on average in the window: 1.0 is one core all the time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct CpuCores {
    /// The generator's thread, which can use one core at most: near 1.0 it was the bottleneck.
    pub(crate) generator: f64,
    /// The server's process, when the plan named it and it lived through the window.
    pub(crate) server: Option<f64>,
    /// Everything else on the machine, interrupts included: above a few hundredths, the figures
    /// are too low and not to be trusted. Only known when `server` is.
    pub(crate) others: Option<f64>,
}

/// CPU time used so far.
#[derive(Debug)]
pub(super) struct CpuTimes {
    generator: Duration,
    server: Option<Duration>,
    machine: Option<Duration>,
}

impl CpuTimes {
    /// To be called on the generator's thread.
    pub(super) fn now(server_pid: Option<u32>) -> Self {
        let generator = clock_gettime(ClockId::ThreadCPUTime);
        Self {
            generator: Duration::try_from(generator).unwrap_or_default(),
            // A server that has ended, or was replaced under load, has no figure.
            server: server_pid.and_then(|pid| cpu_time(pid).ok()),
            machine: machine_cpu_time().ok(),
        }
    }
}

impl CpuCores {
    pub(super) fn between(before: &CpuTimes, after: &CpuTimes, elapsed: Duration) -> Self {
        let cores = |(from, to): (Duration, Duration)| {
            to.saturating_sub(from).as_secs_f64() / elapsed.as_secs_f64()
        };
        let generator = cores((before.generator, after.generator));
        let server = before.server.zip(after.server).map(cores);
        let machine = before.machine.zip(after.machine).map(cores);
        let others = server.zip(machine).map(|(server, all)| (all - server - generator).max(0.0));
        Self { generator, server, others }
    }
}
