//! The disk alone: what a durable answer costs before there is a server around it.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::fs::FileExt as _,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use serde_json::Value;

use crate::{load::Latency, report::Row};

/// About what the commit of one check writes.
const WRITE: [u8; 16 * 1024] = [1; 16 * 1024];
/// The file is overwritten from its start when so much is written, as a write-ahead log is.
const FILE: u64 = 32 * 1024 * 1024;

/// Writes and syncs once for all that is due, `per_second` of them a second, as a group commit
/// does; the latencies are from when each was due.
pub(crate) fn measure(folder: &Path, per_second: f64, measured: Duration) -> anyhow::Result<Row> {
    let path = folder.join("disk-alone");
    let file = laid_out(&path).with_context(|| format!("cannot write `{}`", path.display()))?;
    let mut latencies = Histogram::<u64>::new(3)?;
    let due = |number: u64| Duration::from_secs_f64(number as f64 / per_second);
    let (start, mut next, mut offset) = (Instant::now(), 0, 0);
    while due(next) < measured {
        thread::sleep(due(next).saturating_sub(start.elapsed()));
        let first = next;
        while due(next) <= start.elapsed() {
            next += 1;
        }
        file.write_all_at(&WRITE, offset)?;
        file.sync_data()?;
        offset = (offset + WRITE.len() as u64) % FILE;
        for number in first..next {
            let latency = start.elapsed().saturating_sub(due(number));
            latencies.record(u64::try_from(latency.as_micros())?)?;
        }
    }
    let latency = Latency::of(&latencies);
    let rate = next as f64 / start.elapsed().as_secs_f64();
    let times = [latency.p50, latency.p95, latency.p99, latency.max].map(Some);
    let mut figures = vec![Some(rate), None];
    figures.extend(times);
    figures.resize(crate::report::LOAD_COLUMNS.len(), None);
    let label = "disk alone, 16 KiB synced, 1,000/s".to_owned();
    Ok(Row { label, figures, remarks: Vec::new(), detail: Value::Null })
}

fn laid_out(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    let mut file = options.create(true).truncate(true).read(true).write(true).open(path)?;
    for _ in 0..FILE / WRITE.len() as u64 {
        file.write_all(&WRITE)?;
    }
    file.sync_all()?;
    Ok(file)
}
