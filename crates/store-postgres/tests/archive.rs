//! Past months move to object storage: nothing is dropped that was not verified, and whatever
//! happens in between, the next attempt ends it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod common;
#[path = "archive/storage.rs"]
mod storage;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use sentinel_archive::{
    Archive, ArchiveError, ArchivedMonth, ArchivingError, ClosedMonth, Month, MonthStore as _,
    Published,
};
use sentinel_core::audit::{DecisionFilter, DecisionRecord};
use sentinel_core::commit::claims_expire_before;
use sentinel_core::control::ControlState;
use sentinel_core::decision::ReasonCode;
use sentinel_core::epoch::Epoch;
use sentinel_core::page::Page;
use sentinel_core::permit::Redeemed;
use sentinel_core::ports::prelude::*;
use sentinel_core::principal::Principal;
use sentinel_core::quota::Window;
use sentinel_store_postgres::PostgresStore;
use sentinel_testkit::build;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, raw_sql};

use crate::common::Database;
use crate::storage::{Meddling, memory};

const BY: &str = "test 0";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn month(text: &str) -> Month {
    text.parse().unwrap()
}

/// A database with decisions of `acme`, `search` in January and February 2020 and now.
struct Scene {
    database: Database,
    store: Arc<PostgresStore>,
    control: Arc<ControlState>,
}

impl Scene {
    async fn new() -> Self {
        let database = Database::new().await;
        let store = Arc::new(database.open().await);
        let tenant = build::tenant("acme");
        let tool = build::tool(&tenant, "search");
        store.register_tool(tenant, tool).await.unwrap();
        let changes = store.control_changes(Epoch(0)).await.unwrap();
        let control = Arc::new(ControlState::default().after(changes));
        store.ensure_partitions(time("2020-01-15T00:00:00Z"), 1).await.unwrap();
        let scene = Self { database, store, control };
        scene.commit("2020-01-01T00:00:00Z", 7).await;
        scene.commit("2020-01-31T23:59:59.999999Z", 5).await;
        scene.commit("2020-02-01T00:00:00Z", 3).await;
        scene.commit(&Timestamp::now().to_string(), 4).await;
        scene
    }

    fn check(&self, at: &str) -> build::Check {
        build::check(&self.control, "acme", "search").quota(1_000_000, Window::DAY).at(time(at))
    }

    async fn commit(&self, at: &str, count: usize) {
        let check = self.check(at);
        self.commit_all((0..count).map(|_| check.pending()).collect()).await;
    }

    async fn commit_all(&self, pendings: Vec<sentinel_core::commit::Pending>) {
        let batch = build::batch(&self.control, pendings);
        self.store.commit_decisions(batch, claims_expire_before(build::NOW)).await.unwrap();
    }

    /// Every decision of a span of time, the oldest first.
    async fn listed(&self, from: &str, to: &str) -> Vec<DecisionRecord> {
        let filter = DecisionFilter {
            from: Some(time(from)),
            to: Some(time(to)),
            ..DecisionFilter::default()
        };
        let (mut found, mut page) = (Vec::new(), Page::first(Page::MAX_LIMIT));
        loop {
            let next = self.store.decisions(filter.clone(), page.clone()).await.unwrap();
            found.extend(next.items);
            match next.next_cursor {
                Some(cursor) => page.cursor = Some(cursor),
                None => break,
            }
        }
        found.reverse();
        found
    }

    async fn january(&self) -> Vec<DecisionRecord> {
        self.listed("2020-01-01T00:00:00Z", "2020-02-01T00:00:00Z").await
    }

    async fn later(&self) -> Vec<DecisionRecord> {
        self.listed("2020-02-01T00:00:00Z", "2100-01-01T00:00:00Z").await
    }

    /// The right to archive a month that is over.
    async fn closed(&self, month: &str) -> ClosedMonth {
        let closed = self.store.closed_months(1, Timestamp::now()).await.unwrap();
        closed.into_iter().find(|closed| closed.month().to_string() == month).unwrap()
    }

    async fn archive(&self, archive: &Archive) -> Result<Option<ArchivedMonth>, ArchivingError> {
        let closed = self.closed("2020-01").await;
        self.store.archive_month(closed, archive, build::NOW, BY).await
    }

    /// The tables of January 2020.
    fn tables(&self) -> String {
        self.database.query(
            "SELECT coalesce(string_agg(relname, ' ' ORDER BY relname), '') FROM pg_class
            WHERE relkind = 'r' AND relname LIKE 'policy_logs_2020_01%'",
        )
    }

    fn take_out(&self) {
        self.database.sql(
            "ALTER TABLE policy_logs DETACH PARTITION policy_logs_2020_01;
            ALTER TABLE policy_logs_2020_01 RENAME TO policy_logs_2020_01_detached",
        );
    }
}

async fn read_back(archive: &Archive, month: Month) -> Vec<DecisionRecord> {
    let manifest = archive.manifest(month).await.unwrap().unwrap();
    let (mut found, mut records) = (Vec::new(), archive.read(manifest));
    while let Some((entries, rest)) = records.next().await.unwrap() {
        found.extend(entries.into_iter().map(|entry| entry.record));
        records = rest;
    }
    found
}

#[tokio::test]
async fn a_month_moves_and_reads_back_as_it_was() {
    let scene = Scene::new().await;
    // More than one page of rows, of every kind.
    let mut pendings = Vec::new();
    for index in 0..700 {
        let at = "2020-01-15T12:00:00.000001Z";
        let check = match index % 4 {
            0 => scene.check(at).agent("planner"),
            1 => scene.check(at).denied(ReasonCode::PolicyDenied),
            2 => build::check(&scene.control, "missing", "nothing").at(time(at)),
            _ => scene.check(at).call_id(&format!("call-{index}")),
        };
        pendings.push(check.pending());
    }
    scene.commit_all(pendings).await;
    let (january, later) = (scene.january().await, scene.later().await);
    assert_eq!((january.len(), later.len()), (712, 7));
    let folder = tempfile::tempdir().unwrap();
    let url = url::Url::from_directory_path(folder.path()).unwrap();
    let archive = Archive::open(url.as_str(), []).unwrap();

    let archived = scene.archive(&archive).await.unwrap().unwrap();
    assert_eq!(archived.published, Published::New);
    assert_eq!(scene.tables(), "");
    assert_eq!(scene.january().await, []);
    assert_eq!(scene.later().await, later);
    assert_eq!(scene.store.decision(january[0].id).await.unwrap(), None);
    let check = build::check(&scene.control, "acme", "search");
    let redemption = check.redemption(january[0].id, Principal::LOCAL);
    assert_eq!(scene.store.redeem_permit(redemption).await.unwrap().0, Redeemed::Used);
    // So a manifest that names one of them is not called a forgery, and others still are.
    assert!(scene.store.has_archived(time("2020-01-31T23:59:59Z")).await.unwrap());
    assert!(!scene.store.has_archived(time("2020-02-01T00:00:00Z")).await.unwrap());
    assert!(!scene.store.has_archived(Timestamp::now()).await.unwrap());
    assert!(!scene.store.has_archived(time("2999-01-01T00:00:00Z")).await.unwrap());

    let manifest = archive.verify(month("2020-01")).await.unwrap();
    assert_eq!(manifest, archived.manifest);
    let content = &manifest.content;
    assert_eq!((content.count, content.allowed, content.denied), (712, 362, 350));
    assert_eq!(content.tenants.clone().into_iter().collect::<Vec<_>>(), [("acme".into(), 537)]);
    assert_eq!(content.unknown_tenant, 175);
    assert_eq!(content.first_sequence, Some(january[0].sequence));
    assert_eq!(content.first_time, Some(time("2020-01-01T00:00:00Z")));
    assert_eq!(content.last_time, Some(time("2020-01-31T23:59:59.999999Z")));
    assert_eq!((manifest.made.at, manifest.made.by.as_str()), (build::NOW, BY));
    assert_eq!(read_back(&archive, month("2020-01")).await, january);
    assert_eq!(archive.months().await.unwrap(), [month("2020-01")]);

    // A clock that is odd loses nothing: the decision is in the default partition.
    scene.commit("2020-01-20T00:00:00Z", 1).await;
    assert_eq!(scene.january().await.len(), 1);
    assert_eq!(scene.database.query("SELECT count(*) FROM policy_logs_default"), "1");
}

#[tokio::test]
async fn only_months_that_both_clocks_call_over_are_closed() {
    let scene = Scene::new().await;
    let closed = async |keep, now: &str| {
        let closed = scene.store.closed_months(keep, time(now)).await.unwrap();
        closed.iter().map(|closed| closed.month().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(closed(1, "2020-02-29T00:00:00Z").await, Vec::<String>::new());
    assert_eq!(closed(1, "2020-03-01T00:00:00Z").await, ["2020-01"]);
    assert_eq!(closed(0, "2020-03-01T00:00:00Z").await, ["2020-01"]);
    assert_eq!(closed(2, "2020-03-01T00:00:00Z").await, Vec::<String>::new());
    assert_eq!(closed(1, "2020-04-01T00:00:00Z").await, ["2020-01", "2020-02"]);
    // A clock that runs ahead by centuries closes nothing that the server's does not.
    assert_eq!(closed(1, "2999-01-01T00:00:00Z").await, ["2020-01", "2020-02"]);
}

#[tokio::test]
async fn rows_with_the_same_sequence_are_all_copied() {
    let scene = Scene::new().await;
    scene.commit("2020-01-10T00:00:00Z", 1000).await;
    scene.database.sql("UPDATE policy_logs_2020_01 SET sequence = 5");
    let archived = scene.archive(&memory()).await.unwrap().unwrap();
    assert_eq!(archived.manifest.content.count, 1012);
}

#[tokio::test]
async fn an_empty_month_moves_too() {
    let scene = Scene::new().await;
    scene.database.sql("DELETE FROM policy_logs_2020_01");
    let archive = memory();
    let archived = scene.archive(&archive).await.unwrap().unwrap();
    assert_eq!((archived.manifest.content.count, archived.manifest.parts.len()), (0, 0));
    archive.verify(month("2020-01")).await.unwrap();
    assert_eq!(scene.tables(), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commits_go_on_while_months_are_taken_out() {
    let scene = Arc::new(Scene::new().await);
    scene.store.ensure_partitions(time("2020-03-15T00:00:00Z"), 8).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..6)
        .map(|_| {
            let (scene, stop) = (Arc::clone(&scene), Arc::clone(&stop));
            let now = Timestamp::now().to_string();
            tokio::spawn(async move {
                let mut committed = 0;
                while !stop.load(Ordering::Relaxed) {
                    // Fails the test when one commit fails.
                    scene.commit(&now, 3).await;
                    committed += 3;
                }
                committed
            })
        })
        .collect();
    let archive = memory();
    let mut moved = 0;
    for closed in scene.store.closed_months(1, Timestamp::now()).await.unwrap() {
        let done = scene.store.archive_month(closed, &archive, build::NOW, BY).await.unwrap();
        moved += done.unwrap().manifest.content.count;
    }
    stop.store(true, Ordering::Relaxed);
    let mut committed = 0;
    for task in load {
        committed += task.await.unwrap();
    }
    assert!(committed > 0);
    assert_eq!((moved, archive.months().await.unwrap().len()), (15, 11));
    let left = scene.database.query("SELECT count(*) FROM policy_logs");
    assert_eq!(left, (committed + 4).to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_listing_in_the_way_delays_it_and_stops_no_commit() {
    let scene = Scene::new().await;
    let archive = memory();
    let mut listing = PgConnection::connect(&scene.database.url()).await.unwrap();
    let open = "BEGIN; SELECT count(*) FROM policy_logs";
    raw_sql(AssertSqlSafe(open)).execute(&mut listing).await.unwrap();
    let (refused, slowest) = tokio::join!(scene.archive(&archive), async {
        let mut slowest = Duration::ZERO;
        for _ in 0..30 {
            let started = std::time::Instant::now();
            scene.commit(&Timestamp::now().to_string(), 1).await;
            slowest = slowest.max(started.elapsed());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        slowest
    });
    assert!(matches!(refused, Err(ArchivingError::Store(_))), "{refused:?}");
    assert!(slowest < Duration::from_millis(1500), "{slowest:?}");
    assert_eq!(scene.january().await.len(), 12);
    raw_sql("COMMIT").execute(&mut listing).await.unwrap();
    // The archive was published: what is left is to take the month out.
    let archived = scene.archive(&archive).await.unwrap().unwrap();
    assert_eq!((archived.published, scene.tables().as_str()), (Published::Before, ""));
}

#[tokio::test]
async fn an_end_before_the_manifest_leaves_no_archive_and_heals() {
    let scene = Scene::new().await;
    let storage = Meddling::new(|operation, path| {
        let fails = operation == "put" && path.ends_with("manifest.json");
        if fails { Err("power failure".into()) } else { Ok(()) }
    });
    let archive = Archive::within(storage.clone(), "");
    let refused = scene.archive(&archive).await.unwrap_err();
    assert!(matches!(refused, ArchivingError::Archive(ArchiveError::Storage(_))), "{refused}");
    assert_eq!(archive.months().await.unwrap(), []);
    assert_eq!(scene.january().await.len(), 12);
    storage.calm();
    let archived = scene.archive(&archive).await.unwrap().unwrap();
    assert_eq!((archived.published, scene.tables().as_str()), (Published::New, ""));
}

#[tokio::test]
async fn an_end_between_taking_out_and_dropping_heals() {
    let scene = Scene::new().await;
    let archive = memory();
    let january = scene.january().await;
    scene.take_out();
    // Nothing was published: the month goes back into the log, and is archived from there.
    let refused = scene.archive(&archive).await.unwrap_err();
    let ArchivingError::Archive(ArchiveError::NoArchive(_)) = refused else { panic!("{refused}") };
    assert_eq!(scene.january().await, january);
    scene.archive(&archive).await.unwrap().unwrap();

    // Published, taken out, not dropped: it is compared once more and dropped.
    let scene = Scene::new().await;
    let (stuck, manifest) = publish_only(&scene).await;
    scene.take_out();
    let archived = scene.archive(&stuck).await.unwrap().unwrap();
    assert_eq!((archived.manifest, scene.tables().as_str()), (manifest, ""));
}

/// An archive of January while January is still in the log.
async fn publish_only(scene: &Scene) -> (Archive, sentinel_archive::Manifest) {
    let archive = memory();
    let writer = archive.write(month("2020-01"));
    let writer = writer.push_all(scene.january().await).await.unwrap();
    let made = sentinel_archive::Made { at: build::NOW, by: BY.to_owned(), schema_version: 1 };
    let manifest = writer.finish(made).await.unwrap();
    archive.publish(&manifest).await.unwrap();
    (archive, manifest)
}

#[tokio::test]
async fn what_changed_while_it_was_taken_out_goes_back() {
    let scene = Scene::new().await;
    let (archive, _) = publish_only(&scene).await;
    scene.take_out();
    scene.database.sql(
        "UPDATE policy_logs_2020_01_detached SET reason = 'forged'
        WHERE sequence = (SELECT min(sequence) FROM policy_logs_2020_01_detached)",
    );
    // A late decision is in the default partition meanwhile, and moves along.
    scene.commit("2020-01-20T00:00:00Z", 1).await;
    let refused = scene.archive(&archive).await.unwrap_err();
    assert!(matches!(refused, ArchivingError::Different(_)), "{refused}");
    assert_eq!(scene.tables(), "policy_logs_2020_01");
    let january = scene.january().await;
    assert_eq!((january.len(), january[0].reason.as_str()), (13, "forged"));
    let place = "SELECT DISTINCT tableoid::regclass FROM policy_logs
        WHERE created_at < '2020-02-01 00:00:00+00'";
    assert_eq!(scene.database.query(place), "policy_logs_2020_01");
}

#[tokio::test]
async fn what_changes_between_copy_and_comparison_is_not_dropped() {
    let scene = Scene::new().await;
    let (server, name) = scene.database.place();
    let storage = Meddling::new(move |operation, path| {
        if operation == "get" && path.ends_with(".gz") {
            server.sql(&name, "UPDATE policy_logs_2020_01 SET reason = 'forged'");
        }
        Ok(())
    });
    let archive = Archive::within(storage.clone(), "");
    let refused = scene.archive(&archive).await.unwrap_err();
    assert!(matches!(refused, ArchivingError::Different(_)), "{refused}");
    assert_eq!(archive.months().await.unwrap(), []);
    let january = scene.january().await;
    assert_eq!((january.len(), january[0].reason.as_str()), (12, "forged"));
    // Nothing was published, so the next attempt archives what there is now.
    storage.calm();
    scene.archive(&archive).await.unwrap().unwrap();
    assert_eq!(read_back(&archive, month("2020-01")).await, january);
}

#[tokio::test]
async fn an_archive_of_other_decisions_is_never_replaced() {
    let scene = Scene::new().await;
    let (archive, manifest) = publish_only(&scene).await;
    scene.commit("2020-01-20T00:00:00Z", 1).await;
    for _ in 0..2 {
        let refused = scene.archive(&archive).await.unwrap_err();
        assert!(matches!(refused, ArchivingError::Different(_)), "{refused}");
    }
    assert_eq!(scene.january().await.len(), 13);
    assert_eq!(archive.verify(month("2020-01")).await.unwrap(), manifest);
}

#[tokio::test]
async fn a_store_that_is_away_or_lies_drops_nothing() {
    let scene = Scene::new().await;
    let away = Meddling::new(|_, _| Err("connection refused".into()));
    let refused = scene.archive(&Archive::within(away, "")).await.unwrap_err();
    assert!(matches!(refused, ArchivingError::Archive(ArchiveError::Storage(_))), "{refused}");
    // One that says yes and keeps something else.
    let lying = Meddling::new(|_, _| Ok(()));
    lying.forge();
    let refused = scene.archive(&Archive::within(lying, "")).await.unwrap_err();
    assert!(matches!(refused, ArchivingError::Archive(ArchiveError::Damaged { .. })), "{refused}");
    assert_eq!(scene.tables(), "policy_logs_2020_01");
    assert_eq!(scene.january().await.len(), 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_replicas_archive_once_while_a_third_starts() {
    let scene = Scene::new().await;
    let other = scene.database.open().await;
    let closed = scene.closed("2020-01").await;
    // Slow enough that the two meet.
    let storage = Meddling::new(|_, _| {
        std::thread::sleep(Duration::from_millis(100));
        Ok(())
    });
    let archive = Archive::within(storage, "");
    let (one, two, started) = tokio::join!(
        scene.store.archive_month(closed, &archive, build::NOW, BY),
        other.archive_month(closed, &archive, build::NOW, BY),
        async {
            // Both are at it by now, and a server that wants to start does not wait for them.
            tokio::time::sleep(Duration::from_millis(50)).await;
            tokio::time::timeout(Duration::from_secs(2), scene.database.open()).await
        }
    );
    started.expect("a server starts while a month is archived");
    let done: Vec<_> = [one.unwrap(), two.unwrap()].into_iter().flatten().collect();
    assert_eq!(done.len(), 1, "{done:?}");
    assert_eq!(read_back(&archive, month("2020-01")).await.len(), 12);
    // And nothing is left to do.
    let again = other.archive_month(closed, &archive, build::NOW, BY).await.unwrap();
    assert_eq!(again, None);
}
