//! Policies that are swapped under full load: every answer is of one revision, and the wait for it
//! stays short.
//!
//! Two revisions follow each other, and what one allows the other denies. A rule's text says which
//! purpose is allowed, and the data say the revision's number, as the limit of the quota and in the
//! message of a deny; an answer in which these and the revision do not fit is inconsistent.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering::SeqCst},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Times,
    kills::{CONNECTIONS, connect, figures},
};
use crate::{
    CHECK_BODY,
    load::{self, LoadPlan, LoadResult, Mode, Response},
    report::{LOAD_COLUMNS, Row, Table},
    sentinel::{Product, Sentinel},
};

const SWAPS: u64 = 1000;
/// Rounds after which a machine is too slow for it.
const ROUNDS: usize = 20;
/// Between a swap that is in force and the next.
const PAUSE: Duration = Duration::from_millis(20);
/// Between two looks at what is in force.
const LOOK: Duration = Duration::from_millis(2);
/// Longest time from the order to load a policy to its being in force or refused.
const PATIENCE: Duration = Duration::from_secs(20);
/// Limit of the first revision's quota, and by how much each is higher than the one before: more
/// than a run uses, so that what remains tells the limit.
const STEP: u64 = 1_000_000_000;
/// Revisions with even numbers allow the first purpose only, the others the second.
const PURPOSES: [&str; 2] = ["documentation_lookup", "incident_response"];
/// p99 under swaps may be so many times the undisturbed.
const MOST: f64 = 3.0;

/// Candidates that are refused: a file of each, and what the status must say of it.
const BAD: [(&str, &str, &str); 3] = [
    ("p.rego", "package sentinel.policy\ndecision := {\"allow\": true if {", "p.rego:2:"),
    ("p.rego", "package sentinel.policy\nallow if x\nx if allow", "rules refer"),
    ("sentinel/policy/data.json", r#"{"decision": {"allow": true}}"#, "sentinel/policy/data.json"),
];

/// What is in force, as far as everybody knows.
#[derive(Debug, Default)]
struct Known {
    /// Number of the revision that a server was last told to load.
    ordered: AtomicU64,
    /// Number of the revision that was last seen in force.
    seen: AtomicU64,
}

/// Loads a server without swaps, then with, then with candidates that it refuses.
pub(crate) fn measure(product: &Product, times: Times) -> anyhow::Result<Table> {
    let mut policies = Policies::new(&product.scratch.join("swaps-policies"))?;
    policies.put(0, None)?;
    let sentinel = product.start_with("swaps", &policies.link)?;
    let known = Known::default();
    let load = Load::new(&sentinel, times, &known)?;
    let mut swapper = Swapper::new(&sentinel, policies, &known)?;
    let mut table = Table::new("swaps of the policy under a load of 128 connections", LOAD_COLUMNS);

    let calm = load.run()?;
    table.push(Row::load("no swaps", &calm, None)?);
    let mut worst: f64 = 0.0;
    for round in 1..=ROUNDS {
        let before = swapper.times.len();
        let end = Instant::now() + times.warm_up + times.measured;
        let loaded = thread::scope(|scope| {
            let swapping = scope.spawn(|| swapper.swap_until(end));
            let loaded = load.run();
            swapping.join().map_err(|_| anyhow::anyhow!("the swapping thread panicked"))??;
            loaded
        })?;
        worst = worst.max(loaded.latency.p99 / calm.latency.p99);
        let swaps = swapper.times.len() - before;
        let label = format!("round {round}, {swaps} swaps");
        table.push(Row::load(label, &loaded, Some(&calm))?);
        if swapper.times.len() as u64 >= SWAPS {
            break;
        }
    }
    let loaded = thread::scope(|scope| {
        let refusing = scope.spawn(|| swapper.refused());
        let loaded = load.run();
        refusing.join().map_err(|_| anyhow::anyhow!("the swapping thread panicked"))??;
        loaded
    })?;
    table.push(Row::load(format!("{} candidates refused", BAD.len()), &loaded, Some(&calm))?);
    conclude(table, &load, swapper.times, worst)
}

fn conclude(
    mut table: Table,
    load: &Load<'_>,
    times: Vec<Duration>,
    worst: f64,
) -> anyhow::Result<Table> {
    let swaps = times.len() as u64;
    let [p50, p99, max] = figures("", times).figures[..] else { bail!("three figures") };
    let mut row = Row {
        label: "told to load to in force".to_owned(),
        figures: vec![None, None, p50, None, p99, max, None, None, None, None],
        remarks: Vec::new(),
        detail: Value::Null,
    };
    let (responses, wrong) = (load.responses.get(), load.wrong.borrow());
    row.remarks.push(format!(
        "{} inconsistent answers in {responses}, {swaps} swaps; p99 at most {worst:.2} times the \
         undisturbed",
        wrong.count
    ));
    table.push(row);
    table
        .provided(wrong.count == 0, || {
            format!("{} inconsistent answers: {}", wrong.count, wrong.first)
        })?
        .provided(swaps >= SWAPS, || format!("only {swaps} swaps"))?
        .provided(worst < MOST, || format!("p99 under swaps is {worst:.2} times the undisturbed"))
}

/// The directory that a server loads: a link, which is moved from one directory to the next in one
/// step, as a mounted volume does it. What is behind it never changes.
#[derive(Debug)]
struct Policies {
    folder: PathBuf,
    link: PathBuf,
    /// Number of directories so far.
    count: u64,
}

impl Policies {
    fn new(folder: &Path) -> anyhow::Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
        let folder = fs::canonicalize(folder)?;
        Ok(Self { link: folder.join("current"), folder, count: 0 })
    }

    /// Puts revision `number` there, with one file added or replaced.
    fn put(&mut self, number: u64, file: Option<(&str, &str)>) -> anyhow::Result<()> {
        let dir = self.folder.join(self.count.to_string());
        for (name, text) in revision(number)
            .into_iter()
            .chain(file.map(|(name, text)| (name.to_owned(), text.to_owned())))
        {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().context("a file has a folder")?)?;
            fs::write(path, text)?;
        }
        let new = self.folder.join("new");
        symlink(&dir, &new)?;
        fs::rename(new, &self.link)?;
        if let Some(old) = self.count.checked_sub(2) {
            fs::remove_dir_all(self.folder.join(old.to_string()))?;
        }
        self.count += 1;
        Ok(())
    }
}

/// The first for even numbers, the second for odd ones.
fn of<T>([even, odd]: &[T; 2], number: u64) -> &T {
    if number.is_multiple_of(2) { even } else { odd }
}

/// The files of a revision.
fn revision(number: u64) -> Vec<(String, String)> {
    let purpose = of(&PURPOSES, number);
    let rules = format!(
        r#"package sentinel.policy

decision := {{"allow": true, "quota": {{"limit": data.swap.limit, "window": "1d"}}}} if {{
	input.tenant == "platform-eng"
	input.tool == "langsmith-docs-search"
	input.purpose == "{purpose}"
}}

else := {{"allow": false, "reasons": [{{"code": "only_{purpose}", "msg": data.swap.revision}}]}}
"#
    );
    let name = format!("bench-{number}");
    let data = json!({"swap": {"limit": STEP * (number + 1), "revision": name}});
    let manifest = json!({"revision": name});
    [("p.rego", rules), ("data.json", data.to_string()), (".manifest", manifest.to_string())]
        .map(|(name, text)| (name.to_owned(), text))
        .into()
}

/// Swaps, and waits until the server says that it has.
#[derive(Debug)]
struct Swapper<'a> {
    policies: Policies,
    known: &'a Known,
    server: Pid,
    stream: TcpStream,
    status: Vec<u8>,
    /// From the signal to the status that names the revision.
    times: Vec<Duration>,
}

impl<'a> Swapper<'a> {
    fn new(sentinel: &Sentinel, policies: Policies, known: &'a Known) -> anyhow::Result<Self> {
        let server = i32::try_from(sentinel.server.pid())?;
        Ok(Self {
            policies,
            known,
            server: Pid::from_raw(server).context("the server has a process")?,
            stream: connect(&sentinel.address)?,
            status: sentinel.request("GET", "/v1/policy", "auditor")?.request(b""),
            times: Vec::new(),
        })
    }

    fn swap_until(&mut self, end: Instant) -> anyhow::Result<()> {
        while Instant::now() < end {
            let number = self.known.seen.load(SeqCst) + 1;
            self.policies.put(number, None)?;
            self.known.ordered.store(number, SeqCst);
            let name = format!("bench-{number}");
            let told = Instant::now();
            self.load_until(|status| {
                ensure!(status["error"].is_null(), "a good candidate is refused: {status}");
                Ok(status["revision"] == name)
            })?;
            self.times.push(told.elapsed());
            self.known.seen.store(number, SeqCst);
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Offers one bad candidate after the other, each until the status speaks of it.
    fn refused(&mut self) -> anyhow::Result<()> {
        let number = self.known.seen.load(SeqCst);
        let name = format!("bench-{number}");
        for (file, text, complaint) in BAD {
            self.policies.put(number + 1, Some((file, text)))?;
            self.load_until(|status| {
                ensure!(status["revision"] == name, "`{text}` is in force: {status}");
                let error = status["error"].as_str().unwrap_or_default();
                Ok(error.contains(complaint) && status["refused_at"].is_string())
            })
            .with_context(|| format!("`{text}` is not refused with `{complaint}`"))?;
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Has the policy loaded again, and looks at the status until it is as wished.
    fn load_until(&mut self, is_so: impl Fn(&Value) -> anyhow::Result<bool>) -> anyhow::Result<()> {
        kill_process(self.server, Signal::HUP)?;
        let started = Instant::now();
        loop {
            let status = self.ask()?;
            if is_so(&status)? {
                return Ok(());
            }
            ensure!(started.elapsed() < PATIENCE, "nothing came of it: {status}");
            thread::sleep(LOOK);
        }
    }

    fn ask(&mut self) -> anyhow::Result<Value> {
        self.stream.write_all(&self.status)?;
        let mut answer = [0; 16 * 1024];
        let length = self.stream.read(&mut answer)?;
        let text = std::str::from_utf8(answer.get(..length).unwrap_or_default())?;
        ensure!(text.starts_with("HTTP/1.1 200"), "the status is {text}");
        let (_, body) = text.split_once("\r\n\r\n").context("an answer without a body")?;
        Ok(serde_json::from_str(body)?)
    }
}

/// An answer, as far as it says which revision it is of.
#[derive(Debug, Deserialize)]
struct Answer<'a> {
    allow: bool,
    quota_remaining: Option<u64>,
    policy_revision: Option<&'a str>,
    #[serde(borrow)]
    reasons: Vec<Reason<'a>>,
}

#[derive(Debug, Deserialize)]
struct Reason<'a> {
    code: &'a str,
    msg: &'a str,
}

#[derive(Debug, Default)]
struct Wrong {
    count: u64,
    first: String,
}

/// Checks for both purposes in turn, each answer looked at.
struct Load<'a> {
    plan: LoadPlan,
    requests: [Vec<u8>; 2],
    known: &'a Known,
    /// Revision that was seen in force when a check was sent.
    sent: RefCell<HashMap<u64, u64>>,
    responses: Cell<u64>,
    wrong: RefCell<Wrong>,
}

impl<'a> Load<'a> {
    fn new(sentinel: &Sentinel, times: Times, known: &'a Known) -> anyhow::Result<Self> {
        let head = sentinel.request("POST", "/policy/check", "agent")?;
        let [usual, _] = PURPOSES;
        let request = |purpose| head.request(CHECK_BODY.replace(usual, purpose).as_bytes());
        Ok(Self {
            plan: times.plan(sentinel, CONNECTIONS, Mode::Closed),
            requests: PURPOSES.map(request),
            known,
            sent: RefCell::default(),
            responses: Cell::default(),
            wrong: RefCell::default(),
        })
    }

    fn run(&self) -> anyhow::Result<LoadResult> {
        let write = |sequence: u64, buffer: &mut Vec<u8>| {
            self.sent.borrow_mut().insert(sequence, self.known.seen.load(SeqCst));
            buffer.extend_from_slice(of::<Vec<u8>>(&self.requests, sequence));
        };
        let observe = |sequence: u64, response: &Response<'_>| {
            let seen = self.sent.borrow_mut().remove(&sequence).unwrap_or_default();
            self.responses.set(self.responses.get() + 1);
            let fits = self.fits(sequence, seen, response);
            if fits.is_none() {
                let mut wrong = self.wrong.borrow_mut();
                if wrong.count == 0 {
                    let body = String::from_utf8_lossy(response.body);
                    wrong.first = format!("{body}, sent when revision {seen} was in force");
                }
                wrong.count += 1;
            }
            Some(if fits.is_some() { "consistent" } else { "INCONSISTENT" })
        };
        load::run(&self.plan, &write, &observe)
    }

    /// Something, when every part of the answer is of one revision, and that was in force between
    /// the sending and now.
    fn fits(&self, sequence: u64, seen: u64, response: &Response<'_>) -> Option<()> {
        let answer: Answer<'_> = serde_json::from_slice(response.body).ok()?;
        let name = answer.policy_revision?;
        let number: u64 = name.strip_prefix("bench-")?.parse().ok()?;
        let allows = sequence % 2 == number % 2;
        let agrees = if answer.allow {
            answer.quota_remaining?.checked_sub(1)? / STEP == number
        } else {
            let [reason] = &answer.reasons[..] else { return None };
            let code = reason.code.strip_prefix("only_")?;
            reason.msg == name && code == *of(&PURPOSES, number)
        };
        let in_force = (seen..=self.known.ordered.load(SeqCst)).contains(&number);
        (allows == answer.allow && agrees && in_force).then_some(())
    }
}
