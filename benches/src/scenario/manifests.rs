//! Manifests through HTTP: signed, durable and sequenced; and how soon their bundles are there.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair},
};
use sentinel_testkit::postgres;
use serde_json::Value;

use super::{
    Times,
    fleet::Deployment,
    kills::{connect, figures},
};
use crate::{
    echo::Baseline,
    load::{self, LoadPlan, Mode, RequestHead},
    report::{Column, Format, LOAD_COLUMNS, Row, Table},
    sentinel::Product,
};

pub(super) const BODY: &str = r#"{"tenant_slug":"platform-eng","tool_name":"langsmith-docs-search","action":"invoke","purpose":"documentation_lookup","payload":{"result":"three pages were found","pages":[1,2,3]}}"#;

/// At which bundles are looked for; well below saturation.
const STEADY: f64 = 1000.0;
/// Manifests whose bundles are waited for.
const SAMPLES: usize = 100;
/// What a statement has, about.
const MESSAGE: [u8; 700] = [b'x'; 700];

/// A running server, as the scenario asks it.
struct Target {
    name: &'static str,
    address: SocketAddr,
    pid: u32,
    request: Request,
}

/// The head of a request with that method and path.
type Request = Box<dyn Fn(&str, &str) -> anyhow::Result<RequestHead>>;

/// Loads fresh servers with signing, on each store.
pub(crate) fn measure(
    product: &Product,
    times: Times,
    baseline: &Baseline,
) -> anyhow::Result<Vec<Table>> {
    let bare = bare_signatures(times.measured)?;
    let sentinel = product.start("manifests")?;
    let (address, pid) = (sentinel.address, sentinel.server.pid());
    let request = Box::new(move |method: &str, path: &str| {
        let role = if method == "POST" { "agent" } else { "auditor" };
        sentinel.request(method, path, role)
    });
    let embedded =
        measure_one(&Target { name: "SQLite", address, pid, request }, times, baseline, bare)?;
    let database = postgres::Server::new();
    let fleet = Deployment::on(product, &database)?.start(1)?;
    let address = *fleet.addresses.first().context("no replica")?;
    let pid = fleet.servers.first().context("no replica")?.pid();
    let request = Box::new(move |method: &str, path: &str| Ok(fleet.request(method, path)));
    let postgres =
        measure_one(&Target { name: "PostgreSQL", address, pid, request }, times, baseline, bare)?;
    Ok([embedded, postgres].into_iter().flatten().collect())
}

fn measure_one(
    target: &Target,
    times: Times,
    baseline: &Baseline,
    bare: f64,
) -> anyhow::Result<[Table; 2]> {
    let title =
        format!("manifests on {}: signed with ECDSA P-256, durable, sequenced", target.name);
    let mut table = Table::new(title, LOAD_COLUMNS);
    // So that there is a checkpoint.
    bundle_of_new(target, &mut connect(&target.address)?)?;
    for echo in &baseline.loads {
        let before = target.logged()?;
        let plan = target.plan(times, echo.connections, Mode::Closed);
        let sign = target.sign()?;
        let write = |_, buffer: &mut Vec<u8>| buffer.extend_from_slice(&sign);
        let result = load::run(&plan, &write, &load::ignore_answers)?;
        let (ended, logged) = (Instant::now(), target.logged()?);
        let acknowledged = target.last_index()? + 1;
        while target.logged()? < acknowledged {
            ensure!(ended.elapsed() < Duration::from_secs(60), "the sequencer does not catch up");
            thread::sleep(Duration::from_millis(10));
        }
        let label = format!("sign, {} connections", echo.connections);
        let mut row = Row::load(label, &result, Some(echo))?;
        row.remarks.push(format!(
            "{:.1} % of bare signing on all cores ({bare:.0}/s); when the load ended {} of {} leaves \
             were not sequenced yet, {} ms later none",
            result.requests_per_second / bare * 100.0,
            acknowledged.saturating_sub(logged + 1),
            acknowledged - before,
            ended.elapsed().as_millis(),
        ));
        table.push(row);
    }
    Ok([table, availability(target, times)?])
}

fn availability(target: &Target, times: Times) -> anyhow::Result<Table> {
    let mut table = Table::new(
        format!("bundle available after its manifest was acknowledged, on {}", target.name),
        AVAILABILITY_COLUMNS,
    );
    let modes = [
        ("idle", None),
        ("under 1,000 manifests/s", Some(Mode::Open { per_second: STEADY })),
        ("under 128 connections", Some(Mode::Closed)),
    ];
    for (label, mode) in modes {
        let sampled = match mode {
            None => sample(target)?,
            Some(mode) => thread::scope(|scope| {
                let long = Times { warm_up: times.warm_up, measured: Duration::from_secs(30) };
                let plan = target.plan(long, 128, mode);
                let sign = target.sign()?;
                scope.spawn(move || {
                    let write = |_, buffer: &mut Vec<u8>| buffer.extend_from_slice(&sign);
                    load::run(&plan, &write, &load::ignore_answers)
                });
                thread::sleep(times.warm_up);
                sample(target)
            })?,
        };
        table.push(figures(label, sampled));
    }
    Ok(table)
}

const AVAILABILITY_COLUMNS: &[Column] = &[
    Column { key: "p50_ms", heading: "p50 ms", format: Format::Number(1) },
    Column { key: "p99_ms", heading: "p99 ms", format: Format::Number(1) },
    Column { key: "max_ms", heading: "max ms", format: Format::Number(1) },
];

fn sample(target: &Target) -> anyhow::Result<Vec<Duration>> {
    let mut stream = connect(&target.address)?;
    let mut times = Vec::with_capacity(SAMPLES);
    for number in 0..SAMPLES {
        times.push(bundle_of_new(target, &mut stream)?);
        // Not in step with the sequencer.
        thread::sleep(Duration::from_millis(number as u64 * 7 % 40));
    }
    Ok(times)
}

/// From the answer to a signing until the bundle, with its place in the log, is there.
fn bundle_of_new(target: &Target, stream: &mut TcpStream) -> anyhow::Result<Duration> {
    let signed = json(stream, &target.sign()?)?;
    let acknowledged = Instant::now();
    let path = format!("/v1/manifests/{}/bundle", text(&signed, "manifest_id")?);
    let bundle = json(stream, &(target.request)("GET", &path)?.request(b""))?;
    let entries = bundle.pointer("/verificationMaterial/tlogEntries/0/inclusionProof");
    ensure!(entries.is_some(), "the bundle is not logged: {bundle}");
    Ok(acknowledged.elapsed())
}

impl Target {
    fn plan(&self, times: Times, connections: usize, mode: Mode) -> LoadPlan {
        LoadPlan {
            addresses: vec![self.address],
            connections,
            mode,
            warm_up: times.warm_up,
            measured: times.measured,
            server_pid: Some(self.pid),
        }
    }

    fn sign(&self) -> anyhow::Result<Vec<u8>> {
        Ok((self.request)("POST", "/provenance/sign")?.request(BODY.as_bytes()))
    }

    /// Size of the newest checkpoint.
    fn logged(&self) -> anyhow::Result<u64> {
        let mut stream = connect(&self.address)?;
        let request = (self.request)("GET", "/v1/log/checkpoint")?.request(b"");
        let note = String::from_utf8(exchange(&mut stream, &request)?)?;
        Ok(note.lines().nth(1).context("no checkpoint")?.parse()?)
    }

    /// Signs one more; returns its place.
    fn last_index(&self) -> anyhow::Result<u64> {
        let mut stream = connect(&self.address)?;
        let signed = json(&mut stream, &self.sign()?)?;
        signed.get("log_index").and_then(Value::as_u64).context("no place in the log")
    }
}

pub(super) fn text(answer: &Value, field: &str) -> anyhow::Result<String> {
    let text = answer.get(field).and_then(Value::as_str);
    text.map(str::to_owned).with_context(|| format!("no `{field}` in {answer}"))
}

pub(super) fn json(stream: &mut TcpStream, request: &[u8]) -> anyhow::Result<Value> {
    Ok(serde_json::from_slice(&exchange(stream, request)?)?)
}

/// Sends a request; returns the body, whose length the head must say.
pub(super) fn exchange(stream: &mut TcpStream, request: &[u8]) -> anyhow::Result<Vec<u8>> {
    stream.write_all(request)?;
    let (mut answer, mut part) = (Vec::new(), [0; 16 * 1024]);
    loop {
        let length = stream.read(&mut part)?;
        ensure!(length > 0, "the server hung up");
        answer.extend_from_slice(part.get(..length).unwrap_or_default());
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let (head, body) = answer.split_at(end + 4);
        let head = String::from_utf8_lossy(head).to_ascii_lowercase();
        ensure!(head.starts_with("http/1.1 2"), "{head}{}", String::from_utf8_lossy(body));
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() == length.context("no content-length")?.trim().parse::<usize>()? {
            return Ok(body.to_vec());
        }
    }
}

/// ECDSA P-256 signatures a second, with nothing else, on every core.
fn bare_signatures(measured: Duration) -> anyhow::Result<f64> {
    let threads = thread::available_parallelism()?.get();
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?;
    let time = measured.min(Duration::from_secs(3));
    let count = || {
        let (began, mut signed, random) = (Instant::now(), 0_u64, SystemRandom::new());
        while began.elapsed() < time {
            key.sign(&random, &MESSAGE)?;
            signed += 1;
        }
        anyhow::Ok(signed)
    };
    let total = thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(count)).collect();
        all.into_iter()
            .map(|one| one.join().map_err(|_| anyhow::anyhow!("a signing thread panicked"))?)
            .sum::<anyhow::Result<u64>>()
    })?;
    Ok(total as f64 / time.as_secs_f64())
}
