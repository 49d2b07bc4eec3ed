//! Kills while no evaluation comes back and a thousand hostile connections are open, beside kills
//! that nothing disturbs. The binary has to be built with the feature `planted-faults`, which
//! brings a builtin that does not come back until it is released.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::kills::{COLUMNS, KILL, RESTORE, connect, exchange, figures};
use crate::{
    report::Table,
    sentinel::{Product, Sentinel},
};

const KILLS: usize = 300;
const HOSTILE_CONNECTIONS: usize = 1000;
/// Checks that do not come back, sent at one time.
const HOSTILE_CHECKS: usize = 16;
/// What a kill may take, unless twice the undisturbed time is more.
const MOST: Duration = Duration::from_millis(50);
/// After the release, checks are served again within this.
const AGAIN: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(30);

/// Allows at once, or once the file that the arguments name is gone.
const POLICY: &str = r#"package sentinel.policy

decision := {"allow": true, "reasons": []} if not input.arguments.gate

else := {"allow": true, "reasons": []} if planted.spin(input.arguments.gate)
"#;

/// Measures kills, then again with everything stuck.
pub(crate) fn measure(product: &Product) -> anyhow::Result<Table> {
    allow_connections()?;
    let policies = product.scratch.join("stuck-policies");
    fs::create_dir_all(&policies)?;
    fs::write(policies.join("policy.rego"), POLICY)?;
    let gate = fs::canonicalize(&product.scratch)?.join("stuck-gate");
    fs::write(&gate, "")?;
    let sentinel = product.start_with("stuck", &policies)?;
    let plain = checked(&sentinel, None)?;
    ensure!(plain.contains("\"allow\":true"), "build with `planted-faults`: {plain}");
    let undisturbed = kills(&sentinel)?;

    stick(&sentinel, &gate)?;
    let hostile = hostile(sentinel.address);
    let held = hostile.len();
    let denied = checked(&sentinel, None)?;
    ensure!(denied.contains("\"policy_timeout\""), "not denied while stuck: {denied}");
    let stuck = kills(&sentinel)?;
    let denied = checked(&sentinel, None)?;
    ensure!(denied.contains("\"policy_timeout\""), "not stuck any more: {denied}");

    fs::remove_file(&gate)?;
    let released = Instant::now();
    while !checked(&sentinel, None)?.contains("\"allow\":true") {
        ensure!(released.elapsed() < PATIENCE, "checks are not served again");
    }
    let again = released.elapsed();
    drop(hostile);

    let mut table = Table::new("kills while every evaluation is stuck", COLUMNS);
    let (before, during) = (p99(&undisturbed), p99(&stuck));
    table.push(figures("kill, undisturbed", undisturbed));
    let mut row = figures("kill, stuck", stuck);
    row.remarks.push(format!(
        "{held} hostile connections; checks were served again {} ms after the release",
        again.as_millis()
    ));
    table.push(row);
    let most = MOST.max(before * 2);
    ensure!(during <= most, "p99 of a kill is {during:?}, {before:?} undisturbed, most {most:?}");
    ensure!(again <= AGAIN, "checks were served again only after {again:?}");
    Ok(table)
}

/// A connection is a file; a process may have 1,024 of these unless it asks for more.
pub(super) fn allow_connections() -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    Ok(())
}

fn kills(sentinel: &Sentinel) -> anyhow::Result<Vec<Duration>> {
    let kill = sentinel.request("POST", "/kill", "operator")?.request(KILL);
    let restore = sentinel.request("POST", "/kill/restore", "operator")?.request(RESTORE);
    let mut stream = connect(&sentinel.address)?;
    let mut took = Vec::with_capacity(KILLS);
    for _ in 0..KILLS {
        let (sent, acknowledged) = exchange(&mut stream, &kill)?;
        took.push(acknowledged - sent);
        exchange(&mut stream, &restore)?;
    }
    Ok(took)
}

fn p99(took: &[Duration]) -> Duration {
    let mut took = took.to_vec();
    took.sort_unstable();
    took.get(took.len().saturating_sub(1) * 99 / 100).copied().unwrap_or_default()
}

/// One check on a connection of its own; the answer as it came.
fn checked(sentinel: &Sentinel, gate: Option<&Path>) -> anyhow::Result<String> {
    let gate = gate.map_or_else(|| serde_json::json!({}), |gate| serde_json::json!({"gate": gate}));
    let body = serde_json::json!({
        "tenant_slug": "platform-eng", "tool_name": "langsmith-docs-search",
        "action": "invoke", "purpose": "documentation_lookup", "arguments": gate,
    });
    let head = sentinel.request("POST", "/policy/check", "agent")?.header("connection", "close");
    answer(sentinel.address, &head.request(body.to_string().as_bytes()))
}

fn answer(address: SocketAddr, request: &[u8]) -> anyhow::Result<String> {
    let mut stream = connect(&address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("no answer to a check")?;
    Ok(answer)
}

/// Sends checks that do not come back until the server says that it is stuck.
fn stick(sentinel: &Sentinel, gate: &Path) -> anyhow::Result<()> {
    let began = Instant::now();
    let ready = sentinel.request("GET", "/readyz", "agent")?.header("connection", "close");
    while !answer(sentinel.address, &ready.request(b""))?.contains("policy_stuck") {
        ensure!(began.elapsed() < PATIENCE, "the server is not stuck");
        thread::scope(|scope| {
            let checks: Vec<_> = (0..HOSTILE_CHECKS)
                .map(|_| scope.spawn(|| checked(sentinel, Some(gate))))
                .collect();
            for check in checks {
                let answer = check.join().map_err(|_| anyhow::anyhow!("a check panicked"))??;
                ensure!(answer.contains("\"policy_timeout\""), "not denied: {answer}");
            }
            anyhow::Ok(())
        })?;
    }
    Ok(())
}

/// Connections that say nothing, or begin a request and do not end it. The server may close them.
fn hostile(address: SocketAddr) -> Vec<TcpStream> {
    let half = b"POST /policy/check HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n";
    let open = |n: usize| {
        let mut stream = TcpStream::connect(address).ok()?;
        if n.is_multiple_of(2) {
            stream.write_all(half).ok()?;
        }
        Some(stream)
    };
    (0..HOSTILE_CONNECTIONS).filter_map(open).collect()
}
