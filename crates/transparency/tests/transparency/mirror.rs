//! The mirror, on local files, in memory and on a real S3 (versitygw).

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::TryStreamExt as _;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use sentinel_objects::Folder;
use sentinel_provenance::log::{
    Checkpoint, EntryTile, Frontier, Tile, TilePath, leaf_hash, parse_entries,
};
use sentinel_testkit::s3::Server;
use sentinel_transparency::{Mirror, MirrorError, Mirrored};

use crate::log::{Log, ORIGIN};
use crate::storage::Failing;

/// Sizes at which the tree is mirrored: within a tile, at its edge, several tiles on, a level up.
const SIZES: [u64; 6] = [1, 5, 256, 300, 1_000, 66_000];

async fn publish(
    mirror: &Mirror,
    log: &Log,
    from: u64,
    size: u64,
) -> Result<Mirrored, MirrorError> {
    mirror.publish(from, &log.checkpoint_at(size), log).await
}

/// Every file below a folder.
async fn files(storage: &dyn ObjectStore, folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let listed: Vec<_> = storage.list(Some(folder)).try_collect().await.unwrap();
    let mut files = BTreeMap::new();
    for meta in listed {
        let bytes = storage.get(&meta.location).await.unwrap().bytes().await.unwrap();
        let name = meta.location.to_string();
        let name = name.rsplit_once(&format!("{ORIGIN}/")).unwrap().1.to_owned();
        files.insert(name, bytes.to_vec());
    }
    files
}

/// Reads the mirror as anybody would: all entries lead to the root that the log signed, and each
/// tile that such a tree has is there.
fn audit(files: &BTreeMap<String, Vec<u8>>, log: &Log) -> u64 {
    let note = str::from_utf8(&files["checkpoint"]).unwrap();
    let signed = Checkpoint::open(note, log.key()).unwrap();
    let mut frontier = Frontier::new();
    for tile in (0..).map_while(|index| EntryTile::in_tree(index, signed.size())) {
        for leaf in parse_entries(&files[&tile.to_string()], tile.width()).unwrap() {
            frontier.append(leaf_hash(leaf)).unwrap();
        }
    }
    assert_eq!((frontier.size(), frontier.root()), (signed.size(), signed.root()));
    for level in 0..8 {
        for tile in (0..).map_while(|index| Tile::in_tree(level, index, signed.size())) {
            let expected = log.bytes(TilePath::Hashes(tile)).unwrap();
            assert_eq!(files[&tile.to_string()], expected, "{tile}");
        }
    }
    signed.size()
}

#[tokio::test]
async fn what_is_mirrored_reads_as_a_log_at_each_size() {
    let log = Log::of(66_000);
    let dir = tempfile::tempdir().unwrap();
    let url = format!("file://{}", dir.path().display());
    let mirror = Mirror::open(&url, [], log.key().clone()).unwrap();
    assert_eq!(mirror.size().await.unwrap(), None);
    let storage = Folder::open(&url, []).unwrap().storage;
    let mut from = 0;
    for size in SIZES {
        assert_eq!(publish(&mirror, &log, from, size).await.unwrap(), Mirrored::Published);
        assert_eq!(mirror.size().await.unwrap(), Some(size));
        let files = files(&*storage, &Path::from(ORIGIN)).await;
        assert_eq!(audit(&files, &log), size);
        assert_eq!(publish(&mirror, &log, from, size).await.unwrap(), Mirrored::Before);
        from = size;
    }
    // An older one, by a leader that was: nothing goes back.
    let before = files(&*storage, &Path::from(ORIGIN)).await;
    let late = publish(&mirror, &log, 0, 300).await.unwrap();
    assert_eq!(late, Mirrored::Ahead { size: 66_000 });
    assert_eq!(files(&*storage, &Path::from(ORIGIN)).await, before);
    assert!(!before.keys().any(|name| name.contains("evidence")));
}

/// All the checkpoints after each other, from wherever the run before got to; the storage fails
/// after so many operations in each run, until one gets to the end.
async fn mirrored_with_failures(
    log: &Log,
    sizes: &[u64],
    each: usize,
    done: bool,
) -> Arc<InMemory> {
    let storage = Arc::new(InMemory::new());
    let mut cursor = 0;
    for size in sizes {
        for run in 0.. {
            assert!(run < 10_000, "it does not get on");
            // A run that fails gets one operation further than the one before.
            let failing = Failing::after(storage.clone(), each + run, done);
            let mirror = Mirror::within(Arc::new(failing), &Path::from("a/b"), log.key().clone());
            match publish(&mirror, log, cursor, *size).await {
                Ok(Mirrored::Published | Mirrored::Before) => break,
                Ok(other) => panic!("{other:?}"),
                Err(MirrorError::Storage(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        cursor = *size;
    }
    storage
}

#[tokio::test]
async fn a_mirror_that_was_broken_off_everywhere_is_the_one_made_at_a_stretch() {
    let log = Log::of(1_000);
    let sizes = &SIZES[..5];
    let folder = Path::from("a/b");
    let clean = mirrored_with_failures(&log, sizes, usize::MAX / 2, false).await;
    let clean = files(&*clean, &folder).await;
    assert_eq!(audit(&clean, &log), 1_000);
    for done in [false, true] {
        for each in 0..4 {
            let broken = mirrored_with_failures(&log, sizes, each, done).await;
            assert_eq!(files(&*broken, &folder).await, clean, "{each} {done}");
        }
    }
}

#[tokio::test]
async fn the_checkpoint_comes_last_and_never_without_what_is_below_it() {
    let log = Log::of(700);
    let storage = Arc::new(InMemory::new());
    for left in 0.. {
        let failing = Failing::after(storage.clone(), left, true);
        let puts = Arc::clone(&failing.puts);
        let mirror = Mirror::within(Arc::new(failing), &Path::default(), log.key().clone());
        let ended = publish(&mirror, &log, 0, 700).await;
        let put = puts.lock().unwrap().clone();
        let checkpoint = put.iter().position(|name| name.ends_with("/checkpoint"));
        if let Some(position) = checkpoint {
            assert_eq!(position + 1, put.len(), "{put:?}");
            assert_eq!(audit(&files(&*storage, &Path::from(ORIGIN)).await, &log), 700);
        }
        if ended.is_ok() {
            assert!(left > 3, "the storage was never asked");
            break;
        }
    }
}

#[tokio::test]
async fn another_tile_stops_the_mirror_and_both_are_kept() {
    let log = Log::of(300);
    let storage: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let mirror = Mirror::within(storage.clone(), &Path::default(), log.key().clone());
    publish(&mirror, &log, 0, 200).await.unwrap();
    let mut forked = log.cut(199);
    forked.append(b"another leaf".to_vec());
    forked.grow(100);
    let before = files(&*storage, &Path::from(ORIGIN)).await;

    // At the same size the first tile tells, and a run that thinks it copied them sees the roots.
    let error = mirror.publish(0, &forked.checkpoint_at(200), &forked).await.unwrap_err();
    assert!(error.is_fork() && matches!(error, MirrorError::ForkedTile { .. }), "{error}");
    let error = mirror.publish(200, &forked.checkpoint_at(200), &forked).await.unwrap_err();
    assert!(matches!(error, MirrorError::Forked { theirs: 200, ours: 200, .. }), "{error}");
    let error = mirror.publish(200, &forked.checkpoint_at(250), &forked).await.unwrap_err();
    assert!(matches!(error, MirrorError::Forked { theirs: 200, ours: 250, .. }), "{error}");
    assert!(error.is_fork() && error.to_string().contains("FORKED"), "{error}");

    let after = files(&*storage, &Path::from(ORIGIN)).await;
    for (name, bytes) in &before {
        assert_eq!(after[name], *bytes, "{name} was replaced");
    }
    let kept = |of: &str, bytes: &[u8]| {
        let is_it = |(name, kept): (&String, &Vec<u8>)| {
            name.starts_with("evidence/") && name.contains(of) && kept == bytes
        };
        assert!(after.iter().any(is_it), "{of} is not kept");
    };
    kept("/mirror-", &before["checkpoint"]);
    kept("/log-", forked.checkpoint_at(250).note().to_string().as_bytes());
    let path = EntryTile::in_tree(0, 200).unwrap();
    kept("/mirror-", &before[&path.to_string()]);
    kept("/log-", &forked.bytes(TilePath::Entries(path)).unwrap());
}

#[tokio::test]
async fn damaged_tiles_of_our_own_are_not_published() {
    let (log, mut other) = (Log::of(300), Log::of(299));
    other.append(b"another leaf".to_vec());
    let storage: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let mirror = Mirror::within(storage.clone(), &Path::default(), log.key().clone());
    // The tiles are not those of the checkpoint.
    let error = mirror.publish(0, &log.checkpoint(), &other).await.unwrap_err();
    assert!(matches!(error, MirrorError::Damaged(_)), "{error}");
    // The tiles are, the entries are not.
    let mut swapped = log.cut(300);
    swapped.leaves.swap(7, 8);
    let error = mirror.publish(0, &log.checkpoint(), &swapped).await.unwrap_err();
    assert!(matches!(error, MirrorError::Damaged(TilePath::Entries(_))), "{error}");
    assert!(!files(&*storage, &Path::from(ORIGIN)).await.contains_key("checkpoint"));
}

#[tokio::test]
async fn the_place_of_another_log_is_left_alone() {
    let log = Log::of(3);
    let storage: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let place = Path::from(format!("{ORIGIN}/checkpoint"));
    let stranger = Log::of(2).checkpoint().note().to_string();
    for there in [stranger.as_bytes(), b"nonsense", &[0xff; 100_000]] {
        storage.put(&place, there.to_vec().into()).await.unwrap();
        let mirror = Mirror::within(storage.clone(), &Path::default(), log.key().clone());
        let error = publish(&mirror, &log, 0, 3).await.unwrap_err();
        assert!(matches!(error, MirrorError::Foreign(_)), "{error}");
        let left = storage.get(&place).await.unwrap().bytes().await.unwrap();
        assert_eq!(left, there.to_vec());
    }
}

/// Several writers at once, each with its own checkpoint: the largest is what stays.
async fn race(mirrors: Vec<Mirror>, log: &Arc<Log>) {
    let writers = mirrors.into_iter().cycle().zip((1..=12).map(|n| n * 20)).map(|(it, size)| {
        let log = Arc::clone(log);
        tokio::spawn(async move { publish(&it, &log, 0, size).await.unwrap() })
    });
    for writer in writers.collect::<Vec<_>>() {
        let mirrored = writer.await.unwrap();
        assert!(matches!(mirrored, Mirrored::Published | Mirrored::Ahead { .. }), "{mirrored:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_writers_the_largest_checkpoint_stays() {
    let log = Arc::new(Log::of(240));
    for _ in 0..5 {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("file://{}", dir.path().display());
        let open = || Mirror::open(&url, [], log.key().clone()).unwrap();
        race(vec![open(), open(), open()], &log).await;
        assert_eq!(open().size().await.unwrap(), Some(240));
    }
    for _ in 0..20 {
        let storage: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let open = || Mirror::within(storage.clone(), &Path::default(), log.key().clone());
        race(vec![open(), open()], &log).await;
        assert_eq!(open().size().await.unwrap(), Some(240));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_s3_takes_the_log_and_of_several_writers_the_largest() {
    // One that keeps tags beside the objects gives readers the one with the other's, see the docs.
    let server = Server::start_atomic();
    let log = Arc::new(Log::of(1_000));
    let open = |folder: &str| {
        Mirror::open(&server.url(folder), server.environment(), log.key().clone()).unwrap()
    };
    let mirror = open("mirror");
    for (from, size) in [(0, 5), (5, 300), (0, 1_000)] {
        assert_eq!(publish(&mirror, &log, from, size).await.unwrap(), Mirrored::Published);
    }
    assert_eq!(publish(&mirror, &log, 0, 300).await.unwrap(), Mirrored::Ahead { size: 1_000 });
    let Folder { storage, path, .. } =
        Folder::open(&server.url("mirror"), server.environment()).unwrap();
    assert_eq!(audit(&files(&*storage, &path).await, &log), 1_000);
    for round in 0..10 {
        let folder = format!("race-{round}");
        race(vec![open(&folder), open(&folder)], &log).await;
        assert_eq!(open(&folder).size().await.unwrap(), Some(240), "{round}");
    }
}

#[tokio::test]
async fn a_bucket_with_object_lock_keeps_every_checkpoint_and_tile() {
    let server = Server::start_locked();
    let log = Log::of(600);
    let mirror =
        Mirror::open(&server.url("mirror"), server.environment(), log.key().clone()).unwrap();
    for (from, size) in [(0, 5), (5, 300), (300, 600)] {
        assert_eq!(publish(&mirror, &log, from, size).await.unwrap(), Mirrored::Published);
        assert_eq!(publish(&mirror, &log, from, size).await.unwrap(), Mirrored::Before);
    }
    let Folder { storage, path, .. } =
        Folder::open(&server.url("mirror"), server.environment()).unwrap();
    assert_eq!(audit(&files(&*storage, &path).await, &log), 600);

    let (_, versions) = server.signed("GET", "archive?versions=", "", None);
    let of = |name: &str| -> Vec<String> {
        let version = versions.split("<Version>").skip(1);
        let version =
            version.filter(|it| it.contains(&format!("<Key>mirror/{ORIGIN}/{name}</Key>")));
        let id = |it: &str| it.split("<VersionId>").nth(1)?.split('<').next().map(str::to_owned);
        version.map(|it| id(it).unwrap()).collect()
    };
    assert_eq!(of("checkpoint").len(), 3, "{versions}");
    for name in ["checkpoint", "tile/0/000", "tile/entries/000"] {
        for version in of(name) {
            let path = format!("archive/mirror/{ORIGIN}/{name}?versionId={version}");
            let (status, told) = server.signed("DELETE", &path, "", None);
            assert_eq!(status, 403, "{name}: {told}");
        }
        assert!(!of(name).is_empty());
    }
}
