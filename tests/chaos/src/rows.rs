//! What the database holds once the load has ended.

use std::collections::HashMap;

use anyhow::{Context as _, Result, bail};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, query, raw_sql};
use uuid::Uuid;

use crate::observation::{Call, Scope};
use crate::world;

/// A row of the audit log.
#[derive(Debug, Clone)]
pub(crate) struct Decision {
    pub(crate) id: Uuid,
    pub(crate) call: Call,
    pub(crate) tool_id: Option<Uuid>,
    pub(crate) principal: String,
    pub(crate) allow: bool,
    pub(crate) code: String,
    pub(crate) epoch: u64,
    /// Seconds since 1970.
    pub(crate) created: i64,
    /// Limit and window.
    pub(crate) quota: Option<(u64, String)>,
}

#[derive(Debug, Clone)]
pub(crate) struct Kill {
    pub(crate) scope: Scope,
    pub(crate) from: u64,
    /// The epoch of its restore.
    pub(crate) until: Option<u64>,
}

/// Which counter; the last is its beginning, in seconds since 1970.
pub(crate) type CounterKey = (Uuid, String, i64);

#[derive(Debug, Clone, Copy)]
pub(crate) struct Counter {
    pub(crate) used: u64,
    pub(crate) limit: Option<u64>,
}

#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    pub(crate) tool: String,
    pub(crate) decision: Option<Uuid>,
    pub(crate) digest: Vec<u8>,
    pub(crate) bundle: String,
}

/// Everything, of one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    pub(crate) decisions: HashMap<Uuid, Decision>,
    pub(crate) kills: HashMap<Uuid, Kill>,
    pub(crate) counters: HashMap<CounterKey, Counter>,
    pub(crate) manifests: HashMap<Uuid, Manifest>,
}

impl Rows {
    pub(crate) async fn read(url: &str) -> Result<Self> {
        let mut connection = PgConnection::connect(url).await?;
        raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(&mut connection).await?;
        let sql = "SELECT id, tenant_slug, tool_name, agent, call_id, tool_id, principal,
            decision, code, epoch, extract(epoch FROM date_trunc('second', created_at))::bigint,
            quota_limit, quota_window FROM policy_logs
            WHERE tenant_slug <> 'sentinel-self-test'";
        let decisions = all(&mut connection, sql, decision).await?;
        let sql = "SELECT k.id, k.scope, t.slug, o.name, k.agent, k.killed_epoch,
            CASE WHEN k.restored_at IS NOT NULL THEN k.epoch END
            FROM kills AS k LEFT JOIN tenants AS t ON t.id = k.tenant_id
            LEFT JOIN tools AS o ON o.id = k.tool_id
            WHERE t.slug IS DISTINCT FROM 'sentinel-self-test'";
        let kills = all(&mut connection, sql, kill).await?;
        let sql = "SELECT tool_id, quota_window, extract(epoch FROM window_start)::bigint, used,
            quota_limit FROM quota_counters";
        let counters = all(&mut connection, sql, counter).await?;
        let sql = "SELECT id, tool_name, decision_id, payload_digest, bundle FROM manifests";
        let manifests = all(&mut connection, sql, manifest).await?;
        connection.close().await?;
        let count = decisions.len();
        let decisions: HashMap<_, _> = decisions.into_iter().collect();
        if decisions.len() != count {
            bail!("two decisions have one identifier");
        }
        Ok(Self {
            decisions,
            kills: kills.into_iter().collect(),
            counters: counters.into_iter().collect(),
            manifests: manifests.into_iter().collect(),
        })
    }
}

async fn all<T>(
    connection: &mut PgConnection,
    sql: &str,
    read: fn(&PgRow) -> Result<T>,
) -> Result<Vec<T>> {
    let rows = query(AssertSqlSafe(sql.to_owned())).fetch_all(connection).await?;
    rows.iter().map(read).collect()
}

fn decision(row: &PgRow) -> Result<(Uuid, Decision)> {
    let call = Call {
        tenant: known(Some(row.try_get(1)?))?.context("no tenant")?,
        tool: known(Some(row.try_get(2)?))?.context("no tool")?,
        agent: known(row.try_get(3)?)?,
        call_id: row.try_get::<Option<String>, _>(4)?.map(Into::into),
    };
    let limit = row.try_get::<Option<i64>, _>(11)?.map(i64::cast_unsigned);
    let id = row.try_get(0)?;
    let decision = Decision {
        id,
        call,
        tool_id: row.try_get(5)?,
        principal: row.try_get(6)?,
        allow: row.try_get::<&str, _>(7)? == "allow",
        code: row.try_get(8)?,
        epoch: row.try_get::<i64, _>(9)?.cast_unsigned(),
        created: row.try_get(10)?,
        quota: limit.zip(row.try_get(12)?),
    };
    Ok((id, decision))
}

fn kill(row: &PgRow) -> Result<(Uuid, Kill)> {
    let tenant = known(row.try_get(2)?)?;
    let tool = known(row.try_get(3)?)?;
    let agent = known(row.try_get(4)?)?;
    let scope = match (row.try_get(1)?, tenant, tool, agent) {
        ("global", None, None, None) => Scope::Global,
        ("tenant", Some(tenant), None, None) => Scope::Tenant(tenant),
        ("tool", Some(tenant), Some(tool), None) => Scope::Tool(tenant, tool),
        ("agent", None, None, Some(agent)) => Scope::Agent(agent),
        ("tenant_agent", Some(tenant), None, Some(agent)) => Scope::TenantAgent(tenant, agent),
        _ => bail!("a kill has a scope that cannot be"),
    };
    let from = row.try_get::<i64, _>(5)?.cast_unsigned();
    let until = row.try_get::<Option<i64>, _>(6)?.map(i64::cast_unsigned);
    Ok((row.try_get(0)?, Kill { scope, from, until }))
}

fn counter(row: &PgRow) -> Result<(CounterKey, Counter)> {
    let used = row.try_get::<i64, _>(3)?.cast_unsigned();
    let limit = row.try_get::<Option<i64>, _>(4)?.map(i64::cast_unsigned);
    Ok(((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?), Counter { used, limit }))
}

fn manifest(row: &PgRow) -> Result<(Uuid, Manifest)> {
    let manifest = Manifest {
        tool: row.try_get(1)?,
        decision: row.try_get(2)?,
        digest: row.try_get(3)?,
        bundle: row.try_get(4)?,
    };
    Ok((row.try_get(0)?, manifest))
}

/// A name of ours; any other has no business in the database.
fn known(name: Option<&str>) -> Result<Option<&'static str>> {
    let Some(name) = name else { return Ok(None) };
    let tools = world::tools().into_iter().map(|(_, tool)| tool);
    let mut names = tools.chain(world::AGENTS).chain([world::BUSY, world::CALM]);
    names.find(|known| *known == name).map(Some).with_context(|| format!("who is `{name}`?"))
}
