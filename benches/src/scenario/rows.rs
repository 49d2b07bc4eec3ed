//! Checks and audit listings on PostgreSQL while the audit log grows: neither must get slower.

use std::io::BufRead as _;

use anyhow::ensure;
use sentinel_testkit::postgres;

use super::{
    Times,
    fleet::{DATABASE, Deployment, Fleet, STEADY},
};
use crate::{
    load::{self, LoadPlan, LoadResult, Mode},
    report::{LOAD_COLUMNS, Row, Table},
    sentinel::Product,
};

const ROWS: [u64; 3] = [10_000, 1_000_000, 10_000_000];
/// Rows of one statement while filling.
const CHUNK: u64 = 500_000;

/// Fills the log to each size and loads one replica there; the ratio is the rate over that of the
/// fewest rows. With `wait`, each filling and each measuring begins with a line of standard input,
/// so that the writer can make the machine quiet for the measurement alone.
pub(crate) fn measure(product: &Product, times: Times, wait: bool) -> anyhow::Result<Table> {
    let database = postgres::Server::new();
    let deployment = Deployment::on(product, &database)?;
    add_tools(&database);
    let mut table = Table::new("one replica on PostgreSQL by rows of the audit log", LOAD_COLUMNS);
    let mut fewest: Option<LoadResult> = None;
    let mut filled = 0;
    for rows in ROWS {
        phase(wait, &format!("filling to {rows}"))?;
        fill(&database, filled, rows);
        filled = rows;
        let size = size(&database)?;
        // What was filled is on disk before anything is measured.
        database.sql(DATABASE, "CHECKPOINT");
        phase(wait, &format!("measuring at {rows}"))?;
        let replica = deployment.start(1)?;
        let closed = replica.load(times, 128, Mode::Closed)?;
        let base = fewest.as_ref().unwrap_or(&closed);
        let mut row = Row::load(format!("{rows} rows, 128 connections"), &closed, Some(base))?;
        row.remarks.push(size);
        table.push(row);
        let steady = replica.load(times, 128, Mode::Open { per_second: STEADY })?;
        table.push(Row::load(format!("{rows} rows, steady 1,000/s"), &steady, None)?);
        for (tenant, tool, name) in [
            ("platform-eng", "langsmith-docs-search", "the busiest tool"),
            ("bench-50", "bench.tool.5", "one tool of 1,000"),
        ] {
            let listing = list(&replica, times, tenant, tool)?;
            table.push(Row::load(format!("{rows} rows, newest 50 of {name}"), &listing, None)?);
        }
        fewest.get_or_insert(closed);
    }
    Ok(table)
}

fn phase(wait: bool, name: &str) -> anyhow::Result<()> {
    println!("{name}");
    if wait {
        let read = std::io::stdin().lock().read_line(&mut String::new())?;
        ensure!(read > 0, "the signal to go on did not come");
    }
    Ok(())
}

/// 99 tenants with ten tools each beside the one that is loaded, made from it: a replica refuses to
/// list what it does not know.
fn add_tools(database: &postgres::Server) {
    database.sql(
        DATABASE,
        "INSERT INTO tenants (id, slug, display_name, secret, created_at, epoch)
         SELECT gen_random_uuid(), 'bench-' || n, 'bench', secret, created_at, epoch
         FROM generate_series(1, 99) AS n, tenants WHERE slug = 'platform-eng';
         INSERT INTO tools (id, tenant_id, name, skeleton, url, owner, scopes, extra_metadata,
             created_at, updated_at, epoch)
         SELECT gen_random_uuid(), t.id, 'bench.tool.' || n, 'bench.tool.' || n, url, owner, scopes,
             extra_metadata, m.created_at, updated_at, m.epoch
         FROM generate_series(1, 10) AS n, tenants AS t,
             (SELECT * FROM tools WHERE name = 'langsmith-docs-search') AS m
         WHERE t.slug LIKE 'bench-%'",
    );
}

/// Adds decisions such as a check writes, in this month: the partition that checks insert into. A
/// quarter is of the tool that is loaded, the rest of all others; one in twenty is a deny.
fn fill(database: &postgres::Server, from: u64, to: u64) {
    let mut first = from;
    while first < to {
        let last = to.min(first + CHUNK);
        database.sql(DATABASE, &chunk(first, last));
        first = last;
    }
    database.sql(DATABASE, "VACUUM (ANALYZE) policy_logs");
}

fn chunk(first: u64, last: u64) -> String {
    let most = ROWS.into_iter().max().unwrap_or(1);
    format!(
        "SET synchronous_commit = off;
         WITH numbers AS (
             SELECT n, md5(n::text) AS hash,
                 date_trunc('month', now(), 'UTC')
                     + (now() - date_trunc('month', now(), 'UTC')) * (n / {most}::float) AS at
             FROM generate_series({first} + 1, {last}) AS n
         ), known AS (
             SELECT row_number() OVER (ORDER BY tools.sequence) - 1 AS number, tools.id,
                 tenants.id AS tenant, slug, name, count(*) OVER () AS all_tools
             FROM tools JOIN tenants ON tenants.id = tenant_id
         )
         INSERT INTO policy_logs (sequence, epoch, id, tenant_id, tool_id, tenant_slug, tool_name,
             decision, code, reason, reasons, quota_limit, quota_window, quota_remaining,
             policy_revision, principal, agent, action, purpose, argument_hash, call_id,
             event_metadata, created_at, duration_us)
         SELECT (SELECT last_value FROM policy_log_blocks) + 1024 + n - {first}, 1,
             (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7'
                 || substr(hash, 1, 3) || '8' || substr(hash, 4, 15))::uuid,
             tenant, known.id, slug, name,
             CASE WHEN n % 20 = 0 THEN 'deny' ELSE 'allow' END,
             CASE WHEN n % 20 = 0 THEN 'policy_denied' ELSE 'allowed' END,
             CASE WHEN n % 20 = 0 THEN 'the tool may not be used for this purpose'
                 ELSE 'allowed by policy' END,
             CASE WHEN n % 20 = 0 THEN '[{{\"code\": \"purpose_not_allowed\",
                 \"msg\": \"the tool may not be used for this purpose\"}}]'::jsonb END,
             1000000000, '1d', 1000000000 - n, 'sha256:4ed742219f569ce3',
             'key:01a20559-101c-752b-adb8-e3b1083c0cff', 'agent-' || n % 200, 'invoke',
             'documentation_lookup', decode(hash || hash, 'hex'), NULL,
             '{{\"context\": {{\"ticket\": \"ABC-1\"}}}}'::jsonb, at, 150
         FROM numbers JOIN known
             ON number = CASE WHEN n % 4 = 0 THEN 0 ELSE hashint8(n)::bigint & 1073741823 END % all_tools
         ORDER BY n;
         SELECT setval('policy_log_blocks',
             (SELECT last_value FROM policy_log_blocks) + 1024 * (1 + ({last} - {first} + 1023) / 1024))",
    )
}

/// What the log takes on disk, for the sizing table.
fn size(database: &postgres::Server) -> anyhow::Result<String> {
    let sql = "SELECT count(*), (SELECT sum(pg_table_size(relid))::bigint FROM pg_partition_tree('policy_logs')),
                   (SELECT sum(pg_indexes_size(relid))::bigint FROM pg_partition_tree('policy_logs'))
               FROM policy_logs";
    let answer = database.query(DATABASE, sql);
    let figures = answer.split('|').map(str::parse).collect::<Result<Vec<f64>, _>>()?;
    let [rows, table, indexes] = figures[..] else { anyhow::bail!("unexpected `{answer}`") };
    Ok(format!(
        "{rows} rows with those of earlier loads: {:.0} bytes each, and {:.0} in indexes",
        table / rows,
        indexes / rows
    ))
}

/// One caller who reads the newest page over and over.
fn list(replica: &Fleet, times: Times, tenant: &str, tool: &str) -> anyhow::Result<LoadResult> {
    let path = format!("/v1/decisions?tenant={tenant}&tool={tool}&limit=50");
    let request = replica.request("GET", &path).request(b"");
    let plan = LoadPlan {
        addresses: replica.addresses.clone(),
        connections: 1,
        mode: Mode::Closed,
        warm_up: times.warm_up / 4,
        measured: times.measured / 4,
        server_pid: None,
    };
    let full = |_, response: &load::Response<'_>| {
        let rows = response.body_contains("next_cursor") && response.body_contains(tool);
        Some(if rows { "page" } else { "no page" })
    };
    load::run(&plan, &|_, buffer: &mut Vec<u8>| buffer.extend_from_slice(&request), &full)
}
