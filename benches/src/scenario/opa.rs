//! The same question to a real OPA server, which decides it by the same policy and data and does
//! nothing else: no key, no quota counted, nothing recorded.

use sentinel_testkit::{opa, postgres};

use super::{Times, allowed_or_not, checks, fleet};
use crate::{
    echo::Baseline,
    load::{self, LoadPlan, LoadResult, Mode, RequestHead},
    report::{LOAD_COLUMNS, Row, Table},
    sentinel::Product,
};

/// What policy is asked for `CHECK_BODY`, with every field that the server would send to OPA.
const INPUT: &str = r#"{"input":{"tenant":"platform-eng","tool":"langsmith-docs-search","action":"invoke","purpose":"documentation_lookup","usage":1,"context":{"ticket":"ABC-1"},"agent":"bench","arguments":{"query":"how do I trace a run"},"principal":{"id":"01a20559-101c-752b-adb8-e3b1083c0cff","roles":["agent"]},"tool_record":{"owner":"bench","scopes":[],"metadata":{},"url":"https://tool.example/mcp","digest":"sha256:4ed742219f569ce3"},"time":"2026-11-22T10:20:30Z"}}"#;

/// Loads OPA, one server on SQLite and one replica on PostgreSQL at each number of connections of
/// the baseline, one after the other, so that none has the cores of another.
pub(crate) fn measure(
    product: &Product,
    times: Times,
    baseline: &Baseline,
) -> anyhow::Result<Table> {
    let mut table = Table::new("the same question to OPA alone", LOAD_COLUMNS);
    let label = |name: &str, connections: usize| format!("{name}, {connections} connections");
    let server = opa::Server::start(&product.policies_with_room()?);
    for echo in &baseline.loads {
        let result = ask(&server, times, echo.connections)?;
        table.push(Row::load(label("opa", echo.connections), &result, Some(echo))?);
    }
    drop(server);
    let sentinel = product.start("opa")?;
    for echo in &baseline.loads {
        let result = checks::run(&sentinel, times, echo.connections, Mode::Closed)?;
        table.push(Row::load(label("check on SQLite", echo.connections), &result, Some(echo))?);
    }
    drop(sentinel);
    let database = postgres::Server::new();
    let replica = fleet::Deployment::on(product, &database)?.start(1)?;
    for echo in &baseline.loads {
        let result = replica.load(times, echo.connections, Mode::Closed)?;
        table.push(Row::load(label("check on PostgreSQL", echo.connections), &result, Some(echo))?);
    }
    Ok(table)
}

fn ask(server: &opa::Server, times: Times, connections: usize) -> anyhow::Result<LoadResult> {
    let request = RequestHead::new("POST", "/v1/data/sentinel/policy/decision", "localhost")
        .header("content-type", "application/json")
        .request(INPUT.as_bytes());
    let plan = LoadPlan {
        addresses: vec![server.address()],
        connections,
        mode: Mode::Closed,
        warm_up: times.warm_up,
        measured: times.measured,
        server_pid: Some(server.pid()),
    };
    load::run(&plan, &|_, buffer: &mut Vec<u8>| buffer.extend_from_slice(&request), &allowed_or_not)
}
