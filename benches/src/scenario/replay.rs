//! A million decisions, recorded by the server under load, against a candidate policy.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::{Times, checks};
use crate::{
    load::Mode,
    report::{Column, Format, Row, Table},
    sentinel::{Product, Sentinel},
    server::{Memory, memory_of},
};

const DECISIONS: [u64; 2] = [100_000, 1_000_000];
/// Seconds of load after which a machine is too slow for it.
const ROUNDS: usize = 600;
const CONNECTIONS: usize = 128;
/// Between two looks at the memory of the replaying process.
const LOOK: Duration = Duration::from_millis(5);
/// Bytes by which ten times as many decisions may raise the peak: what an allocator does by chance.
const SLACK: u64 = 16_000_000;

const COLUMNS: &[Column] = &[
    column("decisions", "decisions", 0),
    column("seconds", "seconds", 1),
    column("per_second", "decisions/s", 0),
    column("peak_mb", "peak MB", 1),
    column("server_peak_mb", "server peak MB", 1),
];

const fn column(key: &'static str, heading: &'static str, decimals: usize) -> Column {
    Column { key, heading, format: Format::Number(decimals) }
}

/// Records by load until there are enough, then replays as many as are asked for: from the server,
/// and from a file of the same.
pub(crate) fn measure(product: &Product) -> anyhow::Result<Table> {
    let sentinel = product.start("replay")?;
    let mut table = Table::new("recorded decisions against a candidate policy", COLUMNS);
    let candidate = candidate(product)?;
    let mut peaks = Vec::new();
    for wanted in DECISIONS {
        record(&sentinel, wanted)?;
        let from_server = Replay::run(product, &sentinel, &candidate, None)?;
        let file = product.scratch.join("replay.ndjson");
        export(product, &sentinel, &file)?;
        let from_file = Replay::run(product, &sentinel, &candidate, Some(&file))?;
        fs::remove_file(&file)?;
        ensure!(from_server.total == from_file.total, "server and file are not the same");
        for (what, replay) in [("from the server", &from_server), ("from a file", &from_file)] {
            ensure!(replay.replayed >= wanted, "only {} decisions were replayed", replay.replayed);
            table.push(replay.row(&format!("{wanted} {what}"), sentinel.server.memory()?));
        }
        peaks.push([from_server.memory.peak, from_file.memory.peak]);
    }
    let grown = match &peaks[..] {
        [few, many] => few.iter().zip(many).any(|(few, many)| *many > few + SLACK),
        _ => false,
    };
    table.provided(!grown, || format!("the memory grows with the decisions: {peaks:?} bytes"))
}

/// Loads the server with checks until it has recorded so many.
fn record(sentinel: &Sentinel, wanted: u64) -> anyhow::Result<()> {
    let times = Times { warm_up: Duration::ZERO, measured: Duration::from_secs(1) };
    let database = rusqlite::Connection::open(sentinel.data.join("sentinel.db"))?;
    let count = "SELECT count(*) FROM policy_logs";
    for _ in 0..ROUNDS {
        let recorded: i64 = database.query_row(count, [], |row| row.get(0))?;
        if recorded.unsigned_abs() >= wanted {
            return Ok(());
        }
        checks::run(sentinel, times, CONNECTIONS, Mode::Closed)?;
    }
    anyhow::bail!("{wanted} decisions were not recorded in {ROUNDS} rounds")
}

/// Denies every second call of what the server has allowed.
fn candidate(product: &Product) -> anyhow::Result<PathBuf> {
    let folder = product.scratch.join("replay-candidate");
    fs::create_dir_all(&folder)?;
    let rules = r#"package sentinel.policy

default allow := false

decision := {"allow": allow, "reasons": reasons}

allow if {
	input.tenant == "platform-eng"
	is_number(input.usage)
	input.usage % 2 == 0
}

reasons contains {"code": "odd", "msg": "every second call is denied"} if not allow
"#;
    fs::write(folder.join("p.rego"), rules)?;
    Ok(folder)
}

/// A command of the product that may ask the server.
fn command(product: &Product, sentinel: &Sentinel) -> Command {
    let mut command = Command::new(&product.binary);
    command.env("SENTINEL_URL", format!("http://{}", sentinel.address));
    command.env("SENTINEL_DATA_DIR", &sentinel.data);
    command
}

fn export(product: &Product, sentinel: &Sentinel, file: &Path) -> anyhow::Result<()> {
    let mut command = command(product, sentinel);
    let status = command.args(["decisions", "--export"]).arg(file).stdout(Stdio::null()).status();
    ensure!(status?.success(), "the decisions were not exported");
    Ok(())
}

/// One run of `sentinel policy replay`.
struct Replay {
    total: Value,
    replayed: u64,
    per_second: f64,
    took: Duration,
    memory: Memory,
}

impl Replay {
    fn run(
        product: &Product,
        sentinel: &Sentinel,
        candidate: &Path,
        file: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let mut command = command(product, sentinel);
        command.args(["--json", "policy", "replay"]).arg(candidate);
        if let Some(file) = file {
            command.arg("--decisions").arg(file);
        }
        let started = Instant::now();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut peak = Memory { resident: 0, peak: 0 };
        while child.try_wait()?.is_none() {
            // It prints less than a pipe takes, so it ends without being read from.
            if let Ok(memory) = memory_of(child.id()) {
                peak = memory;
            }
            thread::sleep(LOOK);
        }
        let took = started.elapsed();
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "the replay failed: {}", output.status);
        let report: Value = serde_json::from_slice(&output.stdout)?;
        let total = report.get("total").context("a report without a total")?.clone();
        let number = |value: Option<&Value>| value.and_then(Value::as_u64).context("no number");
        let replayed = number(total.get("replayed"))?;
        let denied = number(total.get("newly_denied"))?;
        ensure!(denied.abs_diff(replayed / 2) <= 1, "{denied} newly denied of {replayed}");
        let per_second = number(report.get("decisions_per_second"))? as f64;
        Ok(Self { total, replayed, per_second, took, memory: peak })
    }

    fn row(&self, label: &str, server: Memory) -> Row {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        Row {
            label: label.to_owned(),
            figures: vec![
                Some(self.replayed as f64),
                Some(self.took.as_secs_f64()),
                Some(self.per_second),
                Some(megabytes(self.memory.peak)),
                Some(megabytes(server.peak)),
            ],
            remarks: Vec::new(),
            detail: json!({ "total": self.total }),
        }
    }
}
