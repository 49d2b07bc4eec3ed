//! What was acknowledged is on disk: when the process is killed, and when the disk is full.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use sentinel_core::audit::DecisionFilter;
use sentinel_core::commit::{Outcome, Pending};
use sentinel_core::control::ControlState;
use sentinel_core::epoch::Epoch;
use sentinel_core::id::TenantId;
use sentinel_core::log::StatementKind;
use sentinel_core::manifest::{Manifest, ManifestFilter, NewManifest};
use sentinel_core::page::Page;
use sentinel_core::payload::{PayloadKey, SealedPayload};
use sentinel_core::ports::prelude::*;
use sentinel_core::quota::Window;
use sentinel_core::store::StoreError;
use sentinel_core::tenant::Tenant;
use sentinel_store_sqlite::SqliteStore;
use sentinel_testkit::build;

const LIMIT: u64 = 1_000_000;
/// Set in the child process of the kill test: the database that it is to write to.
const CHILD: &str = "SENTINEL_TEST_CHILD_DATABASE";

async fn scene(store: &SqliteStore) -> Arc<ControlState> {
    let tenant = build::tenant("acme");
    let tool = build::tool(&tenant, "search");
    // It is there already when the file was opened before.
    let _ = store.register_tool(tenant, tool).await;
    let changes = store.control_changes(Epoch(0)).await.unwrap();
    Arc::new(ControlState::default().after(changes))
}

fn pendings(control: &Arc<ControlState>, count: usize) -> Vec<Pending> {
    let check = build::check(control, "acme", "search").quota(LIMIT, Window::DAY);
    (0..count).map(|_| check.pending()).collect()
}

async fn log(store: &SqliteStore) -> HashMap<String, u64> {
    let mut page = Page::first(1000);
    let mut found = HashMap::new();
    loop {
        let paged = store.decisions(DecisionFilter::default(), page.clone()).await.unwrap();
        found.extend(paged.items.iter().map(|record| (record.id.to_string(), record.sequence)));
        page.cursor = paged.next_cursor;
        if page.cursor.is_none() {
            return found;
        }
    }
}

async fn used(store: &SqliteStore) -> u64 {
    let counters = store.counters(None, build::NOW, Page::first(10)).await.unwrap().items;
    counters.iter().map(|counter| counter.used).sum()
}

/// Not a test of its own: the process that `kill_9_loses_nothing_acknowledged` kills. Writes until
/// then, from four tasks, and prints each decision once it is acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_commits_until_killed() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let store = Arc::new(SqliteStore::open(path).unwrap());
    let control = scene(&store).await;
    let tasks: Vec<_> = (1..5)
        .map(|task| {
            let (store, control) = (Arc::clone(&store), Arc::clone(&control));
            tokio::spawn(async move {
                for _ in 0..1_000_000 {
                    let batch = build::batch(&control, pendings(&control, task * 4));
                    let done = store.commit_decisions(batch, build::NOW).await.unwrap();
                    let mut out = String::new();
                    for outcome in done.into_committed().outcomes {
                        let Outcome::Recorded(record) = outcome else { panic!("{outcome:?}") };
                        out += &format!("ack {} {}\n", record.id, record.sequence);
                    }
                    std::io::stdout().lock().write_all(out.as_bytes()).unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Runs the child, kills it after `delay`, and returns what it had acknowledged.
fn run_and_kill(path: &Path, delay: Duration) -> HashMap<String, u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child_that_commits_until_killed", "--exact", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut acknowledged = HashMap::new();
    let mut note = |line: String| {
        // The test runner leaves its own text in front of the first line.
        let Some((_, line)) = line.split_once("ack ") else { return false };
        let Some((id, sequence)) = line.split_once(' ') else { return false };
        // The last line may be cut off.
        if let (36, Ok(sequence)) = (id.len(), sequence.parse()) {
            acknowledged.insert(id.to_owned(), sequence);
        }
        true
    };
    while !note(lines.next().unwrap()) {}
    let reader = std::thread::scope(|scope| {
        let reading = scope.spawn(move || lines.map(note).count());
        std::thread::sleep(delay);
        child.kill().unwrap();
        reading.join().unwrap()
    });
    child.wait().unwrap();
    assert!(reader > 0, "it was writing");
    acknowledged
}

#[tokio::test]
async fn kill_9_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sentinel.db");
    let mut acknowledged = HashMap::new();
    for round in 0..8 {
        let path_of_child = path.clone();
        let delay = Duration::from_millis(20 + 17 * round);
        let running = tokio::task::spawn_blocking(move || run_and_kill(&path_of_child, delay));
        acknowledged.extend(running.await.unwrap());
        // A process that is killed leaves no lock behind.
        let store = SqliteStore::open(&path).unwrap();
        let stored = log(&store).await;
        for (id, sequence) in &acknowledged {
            // The last line that was read may lack digits.
            let kept = stored.get(id).unwrap_or_else(|| panic!("{id} is lost"));
            assert!(kept.to_string().starts_with(&sequence.to_string()));
        }
        let mut sequences: Vec<_> = stored.values().copied().collect();
        sequences.sort_unstable();
        let count = u64::try_from(stored.len()).unwrap();
        assert!(sequences.into_iter().eq(1..=count), "no gap, nothing twice");
        assert_eq!(used(&store).await, count, "the quota counts what is recorded");
    }
}

/// A small file system; unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(place: &Path) -> Self {
        std::fs::create_dir(place).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(place);
        let mounted = mount.status().is_ok_and(|status| status.success());
        assert!(mounted, "this test mounts a small tmpfs and must run as root");
        Self(place.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("disk");
    let disk = SmallDisk::mount(&place);
    let ballast = disk.0.join("ballast");
    std::fs::write(&ballast, vec![1; 512 << 10]).unwrap();
    let path = disk.0.join("sentinel.db");
    let store = SqliteStore::open(&path).unwrap();
    let control = scene(&store).await;
    for round in 0..3 {
        let mut committed = used(&store).await;
        let refused = loop {
            let batch = build::batch(&control, pendings(&control, 50));
            match store.commit_decisions(batch, build::NOW).await {
                Ok(_) => committed += 50,
                Err(refused) => break refused,
            }
            assert!(committed < 20_000, "the disk never fills");
        };
        assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
        // Nothing of the refused batch is there, and what was acknowledged is.
        let stored = log(&store).await;
        assert_eq!(u64::try_from(stored.len()).unwrap(), committed);
        assert_eq!(used(&store).await, committed);
        let large = build::batch(&control, pendings(&control, 1000));
        store.commit_decisions(large, build::NOW).await.unwrap_err();
        // It works again as soon as there is room, without being reopened.
        std::fs::write(&ballast, vec![1; (512 - 160 * (round + 1)) << 10]).unwrap();
        store.ping().await.unwrap();
        let batch = build::batch(&control, pendings(&control, 10));
        store.commit_decisions(batch, build::NOW).await.unwrap();
        assert_eq!(used(&store).await, committed + 10);
    }
    let before = log(&store).await;
    drop(store);
    std::fs::remove_file(&ballast).unwrap();
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(log(&store).await, before);
}

/// Set in the child process of the test below.
const DESTROYER: &str = "SENTINEL_TEST_DESTROYER_DATABASE";
/// Payloads under each key, of a length that takes several pages.
const PAYLOADS: usize = 12;

/// Not a test of its own: the process that `kill_9_destroys_a_key_and_all_under_it_or_nothing`
/// kills. Makes keys with payloads, and destroys each.
#[tokio::test]
async fn child_that_destroys_until_killed() {
    let Ok(path) = std::env::var(DESTROYER) else { return };
    let store = SqliteStore::open(path).unwrap();
    // They are there already when the file was opened before.
    let _ = store.start_shard(build::shard("log.example")).await;
    let tenant = TenantId(uuid::Uuid::nil());
    let _ = store.create_tenant(Tenant { id: tenant, ..build::tenant("acme") }).await;
    let first = store.payload_key(tenant).await.unwrap().map_or(1, |key| key.generation + 1);
    for generation in first.. {
        let wrapped = Some(vec![7; 60]);
        let created_at = build::NOW;
        let key =
            PayloadKey { tenant_id: tenant, generation, wrapped, created_at, destroyed_at: None };
        store.add_payload_key(key).await.unwrap();
        let new = |_| {
            let manifest =
                Manifest { key_generation: Some(generation), ..build::manifest(tenant, "search") };
            let payload = Some(SealedPayload { generation, sealed: vec![9; 9_000] });
            NewManifest { payload, ..build::new_manifest(&manifest) }
        };
        store.insert_manifests((0..PAYLOADS).map(new).collect()).await.unwrap();
        println!("ack {generation}");
        let subject = format!("acme/{generation}");
        let tombstone = build::statement(StatementKind::PayloadDestroyed, &subject);
        store.destroy_payload_key(tenant, generation, build::NOW, tombstone).await.unwrap();
    }
}

#[tokio::test]
async fn kill_9_destroys_a_key_and_all_under_it_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sentinel.db");
    let tenant = TenantId(uuid::Uuid::nil());
    let mut survived = 0;
    for round in 0..12_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child_that_destroys_until_killed", "--exact", "--nocapture"])
            .env(DESTROYER, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        // It is about to destroy the second key when it has said so.
        let mut lines = lines.filter(|line| line.contains("ack "));
        lines.nth(1).unwrap();
        std::thread::sleep(Duration::from_micros(round * 150));
        child.kill().unwrap();
        child.wait().unwrap();
        let store = SqliteStore::open(&path).unwrap();
        let tombstones = store.statements(StatementKind::PayloadDestroyed).await.unwrap();
        let newest = store.payload_key(tenant).await.unwrap().unwrap().generation;
        let mut payloads = HashMap::<u32, usize>::new();
        let mut page = Page::first(1000);
        loop {
            let found = store.manifests(ManifestFilter::default(), page.clone()).await.unwrap();
            for manifest in found.items {
                let kept = store.payload(manifest.id).await.unwrap().is_some();
                *payloads.entry(manifest.key_generation.unwrap()).or_default() += usize::from(kept);
            }
            page.cursor = found.next_cursor;
            if page.cursor.is_none() {
                break;
            }
        }
        for generation in 1..=newest {
            let key = store.payload_key_of(tenant, generation).await.unwrap().unwrap();
            let subject = format!("acme/{generation}");
            let stones = tombstones.iter().filter(|one| one.subject == subject).count();
            let found = payloads.get(&generation).copied();
            match key.wrapped {
                None => assert_eq!((stones, found), (1, Some(0)), "key {generation}"),
                Some(_) => {
                    survived += 1;
                    // Or it was killed before the payloads were stored.
                    assert!(stones == 0 && matches!(found, None | Some(PAYLOADS)), "{generation}");
                }
            }
        }
        let log = store.leaves(1, 0, 100_000).await.unwrap();
        assert_eq!(log.len(), 1 + payloads.len() * PAYLOADS + tombstones.len(), "no gap");
    }
    assert!(survived > 0, "it was never killed before the end");
}
