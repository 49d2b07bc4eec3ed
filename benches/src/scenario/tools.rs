//! Checks with few and with many registered tools: the latency must not grow.

use std::time::Duration;

use anyhow::Context as _;
use rusqlite::Connection;

use super::{Times, checks};
use crate::{
    load::{LoadResult, Mode},
    report::{LOAD_COLUMNS, Row, Table},
    sentinel::Product,
};

const TOOLS: [u64; 3] = [10, 10_000, 1_000_000];

/// Latency is compared well below saturation, where it is not the queue that is measured.
const RATE: f64 = 2000.0;
const CONNECTIONS: usize = 16;

/// Loads a server at each number of tools; the ratio is the rate over that of the fewest.
pub(crate) fn measure(product: &Product, times: Times) -> anyhow::Result<Table> {
    let mut table = Table::new("checks by number of registered tools", LOAD_COLUMNS);
    let mut fewest: Option<LoadResult> = None;
    for tools in TOOLS {
        let sentinel = with_tools(product, tools)?;
        let ready = sentinel.server.time_to_ready();
        let memory = sentinel.server.memory()?;
        let closed = checks::run(&sentinel, times, 128, Mode::Closed)?;
        let mut row = Row::load(
            format!("{tools} tools, 128 connections"),
            &closed,
            Some(fewest.as_ref().unwrap_or(&closed)),
        )?;
        row.remarks.push(format!(
            "ready after {} ms, {:.0} MB idle",
            ready.as_millis(),
            memory.resident as f64 / 1e6
        ));
        table.push(row);
        let steady = checks::run(&sentinel, times, CONNECTIONS, Mode::Open { per_second: RATE })?;
        table.push(Row::load(format!("{tools} tools, steady 2,000/s"), &steady, None)?);
        fewest.get_or_insert(closed);
    }
    Ok(table)
}

/// A server whose registry holds `tools` more tools. They are written into its database while it is
/// stopped: registering a million through HTTP measures something else.
fn with_tools(product: &Product, tools: u64) -> anyhow::Result<crate::sentinel::Sentinel> {
    let name = format!("tools-{tools}");
    let empty = product.start(&name)?;
    let database = empty.data.join("sentinel.db");
    drop(empty);
    // The lock of a killed process goes with it; the write-ahead log is recovered by opening.
    std::thread::sleep(Duration::from_millis(50));
    fill(&Connection::open(database)?, tools).context("the registry cannot be filled")?;
    product.start_again(&name)
}

/// Copies one registered tool under many names.
fn fill(connection: &Connection, tools: u64) -> anyhow::Result<()> {
    let mut columns: Vec<String> = connection
        .prepare("SELECT name FROM pragma_table_info('tools')")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    // The row identifier numbers itself.
    columns.retain(|column| column != "sequence");
    let values = columns.iter().map(|column| match column.as_str() {
        "id" => "randomblob(16)".to_owned(),
        "name" | "skeleton" => "'bench.tool.' || n".to_owned(),
        other => format!("model.{other}"),
    });
    let sql = format!(
        "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {tools})
         INSERT INTO tools ({}) SELECT {} FROM numbers,
         (SELECT * FROM tools WHERE name = 'langsmith-docs-search' LIMIT 1) AS model",
        columns.join(", "),
        values.collect::<Vec<_>>().join(", "),
    );
    connection.execute(&sql, [])?;
    Ok(())
}
