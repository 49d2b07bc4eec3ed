//! Manifests through HTTP: signed and durable.

use super::Times;
use crate::{
    echo::Baseline,
    load::{self, Mode},
    report::{LOAD_COLUMNS, Row, Table},
    sentinel::Product,
};

const BODY: &str = r#"{"tenant_slug":"platform-eng","tool_name":"langsmith-docs-search","action":"invoke","purpose":"documentation_lookup","payload":{"result":"three pages were found","pages":[1,2,3]}}"#;

/// Loads a fresh server with signing, at each number of connections of the baseline.
pub(crate) fn measure(
    product: &Product,
    times: Times,
    baseline: &Baseline,
) -> anyhow::Result<Table> {
    let sentinel = product.start("manifests")?;
    let request = sentinel.request("POST", "/provenance/sign", "agent")?.request(BODY.as_bytes());
    let mut table = Table::new("manifests: signed with ECDSA P-256, durable", LOAD_COLUMNS);
    for echo in &baseline.loads {
        let plan = times.plan(&sentinel, echo.connections, Mode::Closed);
        let write = |_, buffer: &mut Vec<u8>| buffer.extend_from_slice(&request);
        let result = load::run(&plan, &write, &load::ignore_answers)?;
        let label = format!("sign, {} connections", echo.connections);
        table.push(Row::load(label, &result, Some(echo))?);
    }
    Ok(table)
}
