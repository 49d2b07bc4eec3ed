//! The audit log: inserting decisions and asking for them.

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, Transaction};
use sentinel_core::audit::{DecisionFilter, DecisionRecord};
use sentinel_core::commit::Batch;
use sentinel_core::control::ControlState;
use sentinel_core::decision::ReasonCode;
use sentinel_core::id::DecisionId;
use sentinel_core::page::{Page, Paged};
use sentinel_core::permit::{Redeemed, Redemption};
use sentinel_core::ports::{DecisionStore, StoreError};
use sentinel_core::self_test;
use sentinel_store_rows::{Stored as _, decision_of, sequence_of};

use crate::error::Result as Work;
use crate::listing::{Conditions, Source, blob, paged};
use crate::row::{one, select_list};
use crate::store::SqliteStore;
use crate::{buckets, commit};

#[async_trait]
impl DecisionStore for SqliteStore {
    async fn commit_decisions(
        &self,
        batch: Batch,
        claims_expire_before: Timestamp,
    ) -> Result<Batch, StoreError> {
        self.writer.run(move |write| commit::commit(write, batch, claims_expire_before)).await
    }

    async fn redeem_permit(
        &self,
        redemption: Redemption,
    ) -> Result<(Redeemed, Arc<ControlState>), StoreError> {
        let redeem = move |write: &Transaction<'_>| commit::redeem(write, redemption);
        let (redemption, marked) = self.writer.run(redeem).await?;
        Ok(redemption.end(marked))
    }

    async fn decision(&self, id: DecisionId) -> Result<Option<DecisionRecord>, StoreError> {
        self.readers.run(move |read| decision(read, id.0.as_bytes())).await
    }

    async fn decisions(
        &self,
        filter: DecisionFilter,
        page: Page,
    ) -> Result<Paged<DecisionRecord>, StoreError> {
        self.readers.run(move |read| decisions(read, &filter, &page)).await
    }
}

pub(crate) fn decision(connection: &Connection, id: &[u8; 16]) -> Work<Option<DecisionRecord>> {
    one(connection, "id = ?1", [id])
}

static COLUMNS: LazyLock<String> = LazyLock::new(select_list::<DecisionRecord>);

fn listing() -> Source<'static> {
    Source {
        columns: &COLUMNS,
        from: buckets::FROM,
        table: DecisionRecord::TABLE,
        order: "bucket DESC, sequence DESC",
    }
}

fn decisions(
    connection: &Connection,
    filter: &DecisionFilter,
    page: &Page,
) -> Work<Paged<DecisionRecord>> {
    let conditions = conditions_of(filter, page)?;
    let rows =
        conditions.rows(connection, page, &listing(), |row| Ok(DecisionRecord::read(row)?))?;
    Ok(paged(rows, |record| record.sequence.to_string(), |record| record))
}

fn conditions_of(filter: &DecisionFilter, page: &Page) -> Work<Conditions> {
    let mut conditions = Conditions::default();
    if let Some(id) = filter.tenant_id {
        conditions.bound("tenant_id =", blob(id.0));
        buckets::holding(&mut conditions, "tenant", blob(id.0));
    }
    if let Some(tool) = &filter.tool {
        conditions.bound("tool_name =", tool.to_string());
        buckets::holding(&mut conditions, "tool", tool.to_string());
    }
    if let Some(agent) = &filter.agent {
        conditions.bound("agent =", agent.to_string());
        buckets::holding(&mut conditions, "agent", agent.to_string());
    }
    if !filter.self_tests {
        conditions.after("tenant_id IS NOT ?", [blob(self_test::TENANT.0)]);
    }
    conditions
        .bound_optional("decision =", filter.allow.map(|allow| decision_of(allow).to_owned()));
    conditions.bound_optional("code =", filter.code.map(|code| code.as_str().to_owned()));
    let denied = filter.code.is_some_and(|code| code != ReasonCode::Allowed);
    if denied || filter.allow == Some(false) {
        buckets::holding(&mut conditions, "decision", decision_of(false).to_owned());
    }
    if let Some(from) = filter.from.map(Timestamp::as_microsecond) {
        conditions.bound("created_at >=", from);
        conditions.bound("latest >=", from);
    }
    if let Some(to) = filter.to.map(Timestamp::as_microsecond) {
        conditions.bound("created_at <", to);
        conditions.bound("earliest <", to);
    }
    if let Some(cursor) = &page.cursor {
        let before = sequence_of(cursor)?;
        conditions.bound("sequence <", before);
        conditions.bound("bucket <=", before / buckets::SIZE.cast_signed());
    }
    Ok(conditions)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A listing that sorts, or reads what it does not return, takes time in the length of the
    /// log; one that walks the buckets from the end does not.
    #[test]
    fn no_listing_sorts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        crate::SqliteStore::migrate(&path).unwrap();
        let connection = crate::connection::reading(&path).unwrap();
        for mask in 0..128_u32 {
            let on = |bit: u32| mask & (1 << bit) != 0;
            let filter = DecisionFilter {
                tenant_id: on(0).then_some(sentinel_core::id::TenantId(uuid::Uuid::nil())),
                tool: on(1).then(|| "search".parse().unwrap()),
                agent: on(2).then(|| "bot".parse().unwrap()),
                allow: on(3).then_some(on(4)),
                code: on(4).then_some(ReasonCode::Killed),
                from: on(5).then_some(Timestamp::UNIX_EPOCH),
                to: on(5).then_some(Timestamp::UNIX_EPOCH),
                self_tests: on(6),
            };
            let page = Page { limit: 50, cursor: on(6).then(|| "5000".to_owned()) };
            let sql = conditions_of(&filter, &page).unwrap().select(&listing());
            let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let places = vec![rusqlite::types::Null; plan.parameter_count()];
            let steps = plan
                .query_map(rusqlite::params_from_iter(places), |row| row.get::<_, String>(3))
                .unwrap()
                .collect::<std::result::Result<Vec<_>, _>>()
                .unwrap();
            let plan = steps.join("\n");
            assert!(plan.contains("SEARCH policy_logs USING INTEGER PRIMARY KEY"), "{sql}\n{plan}");
            for word in ["TEMP B-TREE", "AUTOMATIC", "SCAN policy_logs"] {
                assert!(!plan.contains(word), "{sql}\n{plan}");
            }
        }
    }
}
