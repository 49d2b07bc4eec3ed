//! Archives from anywhere: a manifest, the lines of a part and its file are refused or read without
//! a panic, what is read can be archived again and is then the same, and nothing verifies but what
//! was written.
//!
//! `seeds/archive/lines.ndjson` and `manifest.json` are those of a genuine archive, which has to be
//! read: a run that starts from what is refused at once would find nothing.
#![no_main]

use std::io::Write as _;
use std::sync::{Arc, LazyLock};

use flate2::Compression;
use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use sentinel_archive::{Archive, ArchiveError, Made, Manifest, Month, Part, Published, Tally};
use sentinel_core::audit::DecisionRecord;
use sha2::{Digest as _, Sha256};
use tokio::runtime::{Builder, Runtime};

static GENUINE_LINES: &[u8] = include_bytes!("../seeds/archive/lines.ndjson");
static GENUINE_MANIFEST: &[u8] = include_bytes!("../seeds/archive/manifest.json");
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().max_blocking_threads(1).build().expect("a runtime");
    runtime.block_on(async {
        let lines = read_lines(GENUINE_LINES).await;
        assert_eq!(lines.len(), 3, "stale seed: take the lines of an archive of this version");
        let archive = holding("manifest.json", GENUINE_MANIFEST).await;
        let found = archive.manifest(month()).await.expect("stale seed").expect("it is there");
        assert_eq!(found.content.count, 3);
    });
    runtime
});

fn month() -> Month {
    "2026-05".parse().expect("a month")
}

fn made() -> Made {
    Made { at: month().end(), by: "fuzz".to_owned(), schema_version: 1 }
}

/// An archive whose month has this file.
async fn holding(name: &str, bytes: &[u8]) -> Archive {
    let storage = InMemory::new();
    let path = Path::from(format!("decisions/{}/{name}", month()));
    storage.put(&path, bytes.to_vec().into()).await.expect("memory");
    let storage: Arc<dyn ObjectStore> = Arc::new(storage);
    Archive::within(storage, "")
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A manifest whose only part is `file`, which unpacks to `lines`, all of it true but the content.
fn manifest_of(file: &[u8], lines: &[u8]) -> Manifest {
    let part = Part {
        name: format!("00001-{}.ndjson.gz", hash(file)),
        count: lines.iter().filter(|byte| **byte == b'\n').count() as u64,
        first_sequence: 1,
        last_sequence: 1,
        bytes: lines.len() as u64,
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

/// What is read of an archive before it ends or is refused, and how that was.
async fn read(
    archive: &Archive,
    manifest: Manifest,
) -> (Vec<DecisionRecord>, Result<(), ArchiveError>) {
    let (mut found, mut records) = (Vec::new(), archive.read(manifest));
    loop {
        match records.next().await {
            Ok(Some((entries, rest))) => {
                found.extend(entries.into_iter().map(|entry| entry.record));
                records = rest;
            }
            Ok(None) => return (found, Ok(())),
            Err(error) => return (found, Err(error)),
        }
    }
}

/// The decisions of a part with these lines.
async fn read_lines(lines: &[u8]) -> Vec<DecisionRecord> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
    gzip.write_all(lines).expect("memory");
    let file = gzip.finish().expect("memory");
    let manifest = manifest_of(&file, lines);
    let archive = holding(&manifest.parts[0].name, &file).await;
    let (found, end) = read(&archive, manifest).await;
    assert!(end.is_err() || lines.is_empty(), "it was not what its manifest says");
    found
}

async fn check_lines(lines: &[u8]) {
    let found = read_lines(lines).await;
    if found.is_empty() {
        return;
    }
    let storage: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let archive = Archive::within(storage, "");
    let writer = archive.write(month()).push_all(found.clone()).await.expect("it was read");
    let manifest = writer.finish(made()).await.expect("it was read");
    assert_eq!(archive.publish(&manifest).await.expect("memory"), Published::New);
    assert_eq!(archive.verify(month()).await.expect("it was written"), manifest);
    assert_eq!(read(&archive, manifest).await.0, found);
}

async fn check_manifest(bytes: &[u8]) {
    let archive = holding("manifest.json", bytes).await;
    let Ok(found) = archive.manifest(month()).await else {
        assert!(archive.verify(month()).await.is_err(), "it has no manifest");
        return;
    };
    let found = found.expect("it is there");
    for part in &found.parts {
        assert!(!part.name.contains(['/', '\\']) && part.name.ends_with(".ndjson.gz"));
    }
    // None of its parts is there.
    let whole = found.parts.is_empty() && found.content == Tally::new(month()).content();
    assert_eq!(archive.verify(month()).await.is_ok(), whole, "a part is missing");
    let written = serde_json::to_vec(&found).expect("a manifest that was read can be written");
    let again = holding("manifest.json", &written).await.manifest(month()).await;
    assert_eq!(again.expect("a written manifest can be read"), Some(found));
}

/// A file with the right hash that holds something else than the manifest says.
async fn check_file(file: &[u8]) {
    let mut manifest = manifest_of(file, b"\n");
    manifest.parts[0].bytes = 1 << 16;
    let archive = holding(&manifest.parts[0].name, file).await;
    assert!(read(&archive, manifest).await.1.is_err(), "forged");
}

fuzz_target!(|bytes: &[u8]| {
    RUNTIME.block_on(async {
        check_manifest(bytes).await;
        check_file(bytes).await;
        let mut lines = bytes.to_vec();
        if lines.last().is_some_and(|last| *last != b'\n') {
            lines.push(b'\n');
        }
        check_lines(&lines).await;
    });
});
