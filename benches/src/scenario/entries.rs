//! Checks with few and with many entries in the policy's data: the time must not grow.

use std::{
    fs,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Times, allowed_or_not};
use crate::{
    CHECK_BODY,
    load::{self, LoadResult, Mode},
    report::{LOAD_COLUMNS, Row, Table},
    sentinel::{Product, Sentinel},
};

const ENTRIES: [u64; 3] = [100, 10_000, 1_000_000];
/// Tools of one tenant.
const TOOLS: u64 = 1000;
/// Latency is compared well below saturation, where it is not the queue that is measured.
const RATE: f64 = 2000.0;
const CONNECTIONS: usize = 16;
/// Usage that the first check reports, more than the server counts in a run; each further one
/// reports one more. Below what raises alerts.
const USAGE: u64 = 100_000_000;
/// With the most entries, a check may take so many times what it takes with the fewest.
const MOST: f64 = 1.5;

/// Loads a server with each number of entries; the ratio is the rate over that of the fewest.
pub(crate) fn measure(product: &Product, times: Times) -> anyhow::Result<Table> {
    let mut table = Table::new("checks by entries of the allowlist", LOAD_COLUMNS);
    let mut fewest: Option<(LoadResult, LoadResult)> = None;
    let mut grown = Vec::new();
    for entries in ENTRIES {
        let policies = with_entries(product, entries)?;
        let sentinel = product.start_with("entries", &policies)?;
        let memory = sentinel.server.memory()?;
        let ready = sentinel.server.time_to_ready();
        // What vetting and loading took is given back, and threads have their own interpreters.
        std::thread::sleep(Duration::from_secs(1));
        let closed = run(&sentinel, times, 128, Mode::Closed)?;
        let steady = run(&sentinel, times, CONNECTIONS, Mode::Open { per_second: RATE })?;
        let base = fewest.as_ref().map_or(&closed, |(closed, _)| closed);
        let label = format!("{entries} entries, 128 connections");
        let mut row = Row::load(label, &closed, Some(base))?;
        row.remarks.push(format!(
            "ready after {} ms, {:.0} MB idle",
            ready.as_millis(),
            memory.resident as f64 / 1e6
        ));
        table.push(row);
        table.push(Row::load(format!("{entries} entries, steady 2,000/s"), &steady, None)?);
        let (few, slow) = fewest.get_or_insert((closed.clone(), steady.clone()));
        grown.push(few.requests_per_second / closed.requests_per_second);
        grown.push(steady.latency.p50 / slow.latency.p50);
    }
    let most = grown.into_iter().fold(0.0, f64::max);
    table.provided(most <= MOST, || {
        format!("with more entries a check takes {most:.2} times as long")
    })
}

/// Checks of which no two are the same question, so that each is evaluated: a thread keeps results.
fn run(
    sentinel: &Sentinel,
    times: Times,
    connections: usize,
    mode: Mode,
) -> anyhow::Result<LoadResult> {
    let head = sentinel.request("POST", "/policy/check", "agent")?;
    let write = |sequence: u64, buffer: &mut Vec<u8>| {
        let usage = format!("\"usage\":{},", USAGE + sequence);
        let body = CHECK_BODY.replace("\"usage\":1,", &usage);
        buffer.extend_from_slice(&head.request(body.as_bytes()));
    };
    load::run(&times.plan(sentinel, connections, mode), &write, &allowed_or_not)
}

/// The shipped policies, with so many entries more in the allowlist, none of which is asked about.
fn with_entries(product: &Product, entries: u64) -> anyhow::Result<PathBuf> {
    let policies = product.policies_with_room()?;
    let folder = policies.join("allowlist");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    write(&folder.join("data.json"), entries)?;
    Ok(policies)
}

/// `{"bench-0": {"tool-0": true, …}, …}`
fn write(path: &Path, entries: u64) -> std::io::Result<()> {
    let mut file = BufWriter::new(fs::File::create(path)?);
    write!(file, "{{")?;
    for number in 0..entries {
        let (tenant, tool) = (number / TOOLS, number % TOOLS);
        let (last, end) = (tool + 1 == TOOLS, number + 1 == entries);
        if tool == 0 {
            write!(file, "\"bench-{tenant}\":{{")?;
        }
        write!(file, "\"tool-{tool}\":true{}", if last || end { "}" } else { "," })?;
        if last && !end {
            write!(file, ",")?;
        }
    }
    writeln!(file, "}}")?;
    file.into_inner().map(drop).map_err(std::io::IntoInnerError::into_error)
}
