//! What was written reads back as it was; what was changed since is found; hostile bytes do no
//! harm.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt as _};
use proptest::prelude::*;
use sentinel_archive::{Archive, ArchiveError, Made, Manifest, Month, Part, Published, Tally};
use sentinel_core::audit::DecisionRecord;
use sentinel_core::control::ControlState;
use sentinel_testkit::build;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

fn month() -> Month {
    "2026-05".parse().unwrap()
}

fn made() -> Made {
    Made { at: build::NOW, by: "test 0".to_owned(), schema_version: 1 }
}

/// A decision of May with a reason of so many letters.
fn record(sequence: u64, reason: usize) -> DecisionRecord {
    let control = Arc::new(ControlState::default());
    let at: Timestamp = "2026-05-10T11:12:13.000001Z".parse().unwrap();
    let pending = build::check(&control, "acme", "search").at(at).pending();
    let metadata =
        json!({"context": {"π": [1.0, 1e300, -0.1, u64::MAX, "\u{202e}\n"]}, "usage": 3});
    DecisionRecord {
        sequence,
        reason: "r".repeat(reason),
        event_metadata: build::object(metadata),
        ..pending.record
    }
}

async fn write(archive: &Archive, records: Vec<DecisionRecord>) -> Manifest {
    let writer = archive.write(month()).push_all(records).await.unwrap();
    writer.finish(made()).await.unwrap()
}

async fn read(archive: &Archive, manifest: Manifest) -> Result<Vec<DecisionRecord>, ArchiveError> {
    let (mut found, mut records) = (Vec::new(), archive.read(manifest));
    while let Some((entries, rest)) = records.next().await? {
        found.extend(entries.into_iter().map(|entry| entry.record));
        records = rest;
    }
    Ok(found)
}

/// A folder with an archive of twenty decisions, published.
async fn folder() -> (tempfile::TempDir, Archive, Manifest) {
    let folder = tempfile::tempdir().unwrap();
    let url = url::Url::from_directory_path(folder.path()).unwrap();
    let archive = Archive::open(url.as_str(), []).unwrap();
    let manifest = write(&archive, (1..=20).map(|sequence| record(sequence, 9)).collect()).await;
    assert_eq!(archive.manifest(month()).await.unwrap(), None, "not before it is published");
    assert_eq!(archive.publish(&manifest).await.unwrap(), Published::New);
    (folder, archive, manifest)
}

fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join("decisions/2026-05").join(name)
}

#[tokio::test]
async fn a_month_of_several_parts_reads_back() {
    let archive = Archive::within(Arc::new(InMemory::new()), "some/folder");
    // 80 MB of lines, in memory that holds a part.
    let mut writer = archive.write(month());
    let mut written = Vec::new();
    for sequence in 1..=400 {
        let record = record(sequence, 200_000);
        written.push(record.clone());
        writer = writer.push_all(vec![record]).await.unwrap();
    }
    let manifest = writer.finish(made()).await.unwrap();
    archive.publish(&manifest).await.unwrap();
    assert_eq!(manifest.parts.len(), 3);
    assert!(manifest.parts.iter().all(|part| part.bytes < 33 * 1024 * 1024));
    assert_eq!(archive.verify(month()).await.unwrap(), manifest);
    assert_eq!(read(&archive, manifest).await.unwrap(), written);
    assert_eq!(archive.months().await.unwrap(), [month()]);
}

#[tokio::test]
async fn the_form_is_that_of_the_export() {
    let (folder, archive, manifest) = folder().await;
    let file = std::fs::read(path(folder.path(), &manifest.parts[0].name)).unwrap();
    let mut lines = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&file[..]), &mut lines)
        .unwrap();
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!((&first["decision"], &first["sequence"]), (&json!("deny"), &json!(1)));
    assert_eq!(first.as_object().unwrap().len(), 23);
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(path(folder.path(), "manifest.json")).unwrap())
            .unwrap();
    assert_eq!(manifest["format"], "sentinel-decisions/1");
    assert_eq!(manifest["from"], "2026-05-01T00:00:00Z");
    assert_eq!(manifest["content"]["count"], 20);
    drop(archive);
}

#[tokio::test]
async fn writing_again_changes_nothing_and_other_content_is_refused() {
    let (folder, archive, manifest) = folder().await;
    let records = read(&archive, manifest.clone()).await.unwrap();
    let again = write(&archive, records.clone()).await;
    let later = Made { at: build::after(60), ..made() };
    let again = Manifest { made: later, ..again };
    assert_eq!(archive.publish(&again).await.unwrap(), Published::Before);
    let other = write(&archive, records[1..].to_vec()).await;
    let refused = archive.publish(&other).await.unwrap_err();
    assert!(matches!(refused, ArchiveError::Conflict(_)), "{refused}");
    assert_eq!(archive.verify(month()).await.unwrap(), manifest);
    // Nor is what is damaged taken for an earlier attempt.
    std::fs::remove_file(path(folder.path(), &manifest.parts[0].name)).unwrap();
    let refused = archive.publish(&again).await.unwrap_err();
    assert!(refused.to_string().contains("is missing"), "{refused}");
}

#[tokio::test]
async fn every_change_is_found() {
    type Change = fn(&Path, &Path);
    let changes: [(&str, Change); 8] = [
        ("is missing", |part, _| std::fs::remove_file(part).unwrap()),
        ("was changed", |part, _| {
            let mut bytes = std::fs::read(part).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(part, bytes).unwrap();
        }),
        ("bytes instead of", |part, _| {
            let bytes = std::fs::read(part).unwrap();
            std::fs::write(part, &bytes[..bytes.len() - 1]).unwrap();
        }),
        ("has more than", |part, _| {
            let mut bytes = std::fs::read(part).unwrap();
            bytes.push(0);
            std::fs::write(part, bytes).unwrap();
        }),
        ("not 21", |_, manifest| edit(manifest, "/parts/0/count", json!(21))),
        ("it holds 20 decisions", |_, manifest| edit(manifest, "/content/count", json!(21))),
        ("what its manifest counts", |_, manifest| edit(manifest, "/content/allowed", json!(1))),
        ("does not parse", |_, manifest| std::fs::write(manifest, b"{").unwrap()),
    ];
    for (message, change) in changes {
        let (folder, archive, manifest) = folder().await;
        let part = path(folder.path(), &manifest.parts[0].name);
        change(&part, &path(folder.path(), "manifest.json"));
        let refused = archive.verify(month()).await.unwrap_err();
        assert!(matches!(refused, ArchiveError::Damaged { .. }), "{message}: {refused}");
        assert!(refused.to_string().contains(message), "{message}: {refused}");
    }
}

fn edit(manifest: &Path, pointer: &str, value: Value) {
    let mut json: Value = serde_json::from_slice(&std::fs::read(manifest).unwrap()).unwrap();
    *json.pointer_mut(pointer).unwrap() = value;
    std::fs::write(manifest, json.to_string()).unwrap();
}

#[tokio::test]
async fn a_decision_of_another_month_is_refused() {
    let archive = Archive::within(Arc::new(InMemory::new()), "");
    let stray = DecisionRecord { created_at: month().end(), ..record(1, 1) };
    let refused = archive.write(month()).push_all(vec![stray]).await.unwrap_err();
    assert!(matches!(refused, ArchiveError::Unwritable { .. }), "{refused}");
}

/// A manifest whose only part is `file`, with the right hashes as far as they can be known.
fn manifest_of(file: &[u8], bytes: u64, lines: &[u8]) -> Manifest {
    let hash = |bytes: &[u8]| hex::encode(Sha256::digest(bytes));
    let part = Part {
        name: format!("00001-{}.ndjson.gz", hash(file)),
        count: 1,
        first_sequence: 1,
        last_sequence: 1,
        bytes,
        sha256: hash(lines),
        compressed_bytes: file.len() as u64,
        compressed_sha256: hash(file),
    };
    Manifest {
        format: "sentinel-decisions/1".to_owned(),
        month: month(),
        from: month().start(),
        to: month().end(),
        made: made(),
        content: Tally::new(month()).content(),
        parts: vec![part],
    }
}

async fn put(storage: &InMemory, name: &str, bytes: Vec<u8>) {
    let path = object_store::path::Path::from(format!("decisions/2026-05/{name}"));
    storage.put(&path, bytes.into()).await.unwrap();
}

/// Verifies an archive of this manifest and this file.
async fn verify(manifest: Vec<u8>, part: Option<(&str, Vec<u8>)>) -> Result<(), ArchiveError> {
    let storage = Arc::new(InMemory::new());
    if let Some((name, file)) = part {
        put(&storage, name, file).await;
    }
    put(&storage, "manifest.json", manifest).await;
    let storage: Arc<dyn ObjectStore> = storage;
    Archive::within(storage, "").verify(month()).await.map(|_| ())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

#[tokio::test]
async fn a_bomb_is_not_unpacked() {
    // 256 MiB of zeros, without an end of line.
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let zeros = vec![0; 1024 * 1024];
    for _ in 0..256 {
        gzip.write_all(&zeros).unwrap();
    }
    let bomb = gzip.finish().unwrap();
    for (bytes, message) in [
        (1000, "holds more than 1000 bytes"),
        (40 * 1024 * 1024, "too long"),
        (u64::MAX, "claims to be longer"),
    ] {
        let manifest = manifest_of(&bomb, bytes, b"");
        let name = manifest.parts[0].name.clone();
        let json = serde_json::to_vec(&manifest).unwrap();
        let refused = verify(json, Some((&name, bomb.clone()))).await.unwrap_err().to_string();
        assert!(refused.contains(message), "{refused}");
    }
}

#[tokio::test]
async fn a_name_leads_nowhere_else() {
    let mut manifest = manifest_of(b"x", 1, b"x");
    for name in ["../2026-04/00001-x.ndjson.gz", "/etc/passwd", "manifest.json"] {
        manifest.parts[0].name = name.to_owned();
        let json = serde_json::to_vec(&manifest).unwrap();
        let refused = verify(json, None).await.unwrap_err().to_string();
        assert!(refused.contains("is called"), "{refused}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever bytes are found, reading ends with a result, and never with a wrong yes.
    #[test]
    fn hostile_bytes_are_refused(
        manifest in prop::collection::vec(any::<u8>(), 0..400),
        file in prop::collection::vec(any::<u8>(), 0..2000),
        lines in prop::collection::vec(any::<u8>(), 0..2000),
        bytes in 0_u64..4000,
        cut in 0_usize..2000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            assert!(verify(manifest, None).await.is_err());
            // Files with the right hash, to get behind that: of anything, of a gzipped anything,
            // and of one that is cut off.
            let mut packed = gzip(&lines);
            let whole = packed.clone();
            packed.truncate(cut.min(packed.len()));
            for (file, bytes) in [(file, bytes), (whole, lines.len() as u64), (packed, bytes)] {
                let manifest = manifest_of(&file, bytes, &lines);
                let name = manifest.parts[0].name.clone();
                let json = serde_json::to_vec(&manifest).unwrap();
                assert!(verify(json, Some((&name, file))).await.is_err());
            }
        });
    }
}
