//! From start to ready, and memory: with an empty data folder and with one that is there already.

use crate::{
    report::{PROCESS_COLUMNS, Row, Table},
    sentinel::{Product, Sentinel},
    server::ProcessFigures,
};

/// Starts that each figure is the median of.
const STARTS: usize = 7;

/// Starts the server again and again. `loaded` comes from the run of checks.
pub(crate) fn measure(
    product: &Product,
    echo: &ProcessFigures,
    checks: &ProcessFigures,
) -> anyhow::Result<Table> {
    let mut table = Table::new("processes (median of 7 starts)", PROCESS_COLUMNS);
    table.push(Row::process("echo", echo, Some(echo))?);
    let first = median(|_| product.start("starts"))?;
    table.push(Row::process("sentinel, first start", &first, Some(echo))?);
    let again = median(|_| product.start_again("starts"))?;
    table.push(Row::process("sentinel, later start", &again, Some(echo))?);
    table.push(Row::process("sentinel, before and after the checks", checks, Some(echo))?);
    Ok(table)
}

fn median(start: impl Fn(usize) -> anyhow::Result<Sentinel>) -> anyhow::Result<ProcessFigures> {
    let mut figures = Vec::with_capacity(STARTS);
    for attempt in 0..STARTS {
        let sentinel = start(attempt)?;
        let memory = sentinel.server.memory()?;
        let time_to_ready = sentinel.server.time_to_ready();
        figures.push(ProcessFigures { time_to_ready, idle: memory, loaded: memory });
    }
    figures.sort_by_key(|figure| figure.time_to_ready);
    Ok(figures.swap_remove(STARTS / 2))
}
