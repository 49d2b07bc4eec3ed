//! Archives in a real S3: what is there is never replaced, what was changed is found, and a storage
//! that refuses or is away is told and loses nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use jiff::Timestamp;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::{Error, ObjectStore as _, ObjectStoreExt as _, PutMode};
use sentinel_archive::{Archive, ArchiveError, Made, Manifest, Month, Published};
use sentinel_core::audit::DecisionRecord;
use sentinel_core::control::ControlState;
use sentinel_testkit::{build, s3};

fn month() -> Month {
    "2026-05".parse().unwrap()
}

fn made() -> Made {
    Made { at: build::NOW, by: "test 0".to_owned(), schema_version: 1 }
}

/// Decisions of May with the sequences `1..=count`, each with a reason of so many letters.
fn records(count: u64, reason: usize) -> Vec<DecisionRecord> {
    let control = Arc::new(ControlState::default());
    let at: Timestamp = "2026-05-10T11:12:13.000001Z".parse().unwrap();
    let record = build::check(&control, "acme", "search").at(at).pending().record;
    let one = |sequence| DecisionRecord {
        sequence,
        id: build::check(&control, "acme", "search").pending().record.id,
        reason: "r".repeat(reason),
        ..record.clone()
    };
    (1..=count).map(one).collect()
}

fn open(server: &s3::Server, folder: &str) -> Archive {
    Archive::open(&server.url(folder), server.environment()).unwrap()
}

async fn write(archive: &Archive, records: Vec<DecisionRecord>) -> Result<Manifest, ArchiveError> {
    archive.write(month()).push_all(records).await?.finish(made()).await
}

async fn read(archive: &Archive, manifest: Manifest) -> Vec<DecisionRecord> {
    let (mut found, mut records) = (Vec::new(), archive.read(manifest));
    while let Some((entries, rest)) = records.next().await.unwrap() {
        found.extend(entries.into_iter().map(|entry| entry.record));
        records = rest;
    }
    found
}

/// A server with an archive of twenty decisions, published.
async fn scene() -> (s3::Server, Archive, Manifest) {
    let server = s3::Server::start();
    let archive = open(&server, "sentinel");
    let manifest = write(&archive, records(20, 9)).await.unwrap();
    assert_eq!(archive.publish(&manifest).await.unwrap(), Published::New);
    (server, archive, manifest)
}

#[tokio::test]
async fn months_are_written_listed_verified_and_read() {
    let server = s3::Server::start();
    for folder in ["", "one/two"] {
        let archive = open(&server, folder);
        assert_eq!(archive.months().await.unwrap(), []);
        assert_eq!(archive.manifest(month()).await.unwrap(), None);
        let refused = archive.verify(month()).await.unwrap_err();
        assert!(matches!(refused, ArchiveError::NoArchive(_)), "{refused}");
        // More than one part.
        let written = records(170, 200_000);
        let manifest = write(&archive, written.clone()).await.unwrap();
        assert_eq!(manifest.parts.len(), 2);
        assert_eq!(archive.months().await.unwrap(), [], "not before it is published");
        assert_eq!(archive.publish(&manifest).await.unwrap(), Published::New);
        // Seen by every program that opens it again.
        let archive = open(&server, folder);
        assert_eq!(archive.months().await.unwrap(), [month()]);
        assert_eq!(archive.verify(month()).await.unwrap(), manifest);
        assert_eq!(read(&archive, manifest).await, written);
    }
}

/// What the archive relies on is what this server does: a name is taken once.
#[tokio::test]
async fn an_object_is_created_once() {
    let server = s3::Server::start();
    let mut builder = AmazonS3Builder::new().with_bucket_name("archive");
    for (name, value) in server.environment() {
        let key: AmazonS3ConfigKey = name.to_ascii_lowercase().parse().unwrap();
        builder = builder.with_config(key, value);
    }
    let storage = builder.build().unwrap();
    let path = object_store::path::Path::from("some/object");
    let create = |bytes: String| {
        let (storage, path) = (&storage, &path);
        async move { storage.put_opts(path, bytes.into(), PutMode::Create.into()).await }
    };
    let attempts = join_all((0..16).map(|index| create(format!("content {index}")))).await;
    let won: Vec<_> = (0..16).filter(|index| attempts[*index].is_ok()).collect();
    assert_eq!(won.len(), 1, "{attempts:?}");
    for refused in attempts.into_iter().filter_map(Result::err) {
        assert!(matches!(refused, Error::AlreadyExists { .. }), "{refused}");
    }
    let refused = create("later".to_owned()).await.unwrap_err();
    assert!(matches!(refused, Error::AlreadyExists { .. }), "{refused}");
    let found = storage.get(&path).await.unwrap().bytes().await.unwrap();
    assert_eq!(found, format!("content {}", won[0]));
}

#[tokio::test]
async fn what_is_there_is_never_replaced() {
    let (server, archive, manifest) = scene().await;
    let found = read(&archive, manifest.clone()).await;
    let files = || {
        let read = |name: &str| std::fs::read(file(&server, name)).unwrap();
        (read("manifest.json"), read(&manifest.parts[0].name))
    };
    let before = files();
    let again = write(&archive, found.clone()).await.unwrap();
    let again = Manifest { made: Made { at: build::after(60), ..made() }, ..again };
    assert_eq!(archive.publish(&again).await.unwrap(), Published::Before);
    let other = write(&archive, found[1..].to_vec()).await.unwrap();
    let refused = archive.publish(&other).await.unwrap_err();
    assert!(matches!(refused, ArchiveError::Conflict(_)), "{refused}");
    assert_eq!(files(), before);
    assert_eq!(archive.verify(month()).await.unwrap(), manifest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_writers_one_publishes() {
    let server = s3::Server::start();
    // Writers with a month in common, and one with another view of it.
    let common = records(20, 9);
    let writers = (0..8).map(|index| {
        let (archive, mut records) = (open(&server, "sentinel"), common.clone());
        records.truncate(20 - usize::from(index == 0));
        tokio::spawn(async move {
            let manifest = write(&archive, records).await?;
            let published = archive.publish(&manifest).await?;
            Ok::<_, ArchiveError>((published, manifest))
        })
    });
    let (mut new, mut before, mut refused) = (Vec::new(), 0, 0);
    for ended in join_all(writers).await {
        match ended.unwrap() {
            Ok((Published::New, manifest)) => new.push(manifest),
            Ok((Published::Before, _)) => before += 1,
            Err(ArchiveError::Conflict(_)) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(new.len(), 1);
    // The one with another view of it won against all, or was refused.
    assert!((before, refused) == (6, 1) || (before, refused) == (0, 7), "{before} {refused}");
    assert_eq!(open(&server, "sentinel").verify(month()).await.unwrap(), new[0]);
}

#[tokio::test]
async fn wrong_credentials_are_told_at_once_and_never_repeated() {
    let (server, archive, manifest) = scene().await;
    for (variable, code) in [
        ("AWS_SECRET_ACCESS_KEY", "SignatureDoesNotMatch"),
        ("AWS_ACCESS_KEY_ID", "InvalidAccessKeyId"),
    ] {
        let mut environment = server.environment();
        for (name, value) in &mut environment {
            if name == variable {
                "wrong-credential".clone_into(value);
            }
        }
        let stranger = Archive::open(&server.url("sentinel"), environment).unwrap();
        let started = Instant::now();
        let refusals = [
            stranger.months().await.expect_err(code),
            stranger.manifest(month()).await.expect_err(code),
            stranger.verify(month()).await.expect_err(code),
            write(&stranger, records(3, 1)).await.unwrap_err(),
            stranger.publish(&manifest).await.unwrap_err(),
        ];
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        for refused in refusals {
            assert!(matches!(refused, ArchiveError::Storage(_)), "{refused}");
            let text = refused.to_string();
            assert!(text.contains(&format!("403 Forbidden: `{code}`: The ")), "{text}");
            assert!(text.lines().count() == 1 && text.len() < 700, "{text}");
            assert!(!text.contains(&server.secret()), "{text}");
            assert!(variable == "AWS_ACCESS_KEY_ID" || !text.contains("wrong-credential"));
        }
    }
    assert_eq!(archive.verify(month()).await.unwrap(), manifest);
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_an_error() {
    let server = s3::Server::start();
    let archive = Archive::open("s3://elsewhere/sentinel", server.environment()).unwrap();
    // And never an archive without this month.
    for refused in [
        archive.months().await.unwrap_err(),
        archive.manifest(month()).await.unwrap_err(),
        archive.verify(month()).await.unwrap_err(),
        write(&archive, records(3, 1)).await.unwrap_err(),
    ] {
        assert!(matches!(refused, ArchiveError::Storage(_)), "{refused}");
        assert!(refused.to_string().contains("`NoSuchBucket`"), "{refused}");
    }
}

#[tokio::test]
async fn a_server_that_goes_away_is_told_soon_and_what_was_written_stays() {
    let (mut server, archive, manifest) = scene().await;
    let june: Month = "2026-06".parse().unwrap();
    let later: Vec<_> = records(5, 9)
        .into_iter()
        .map(|record| DecisionRecord { created_at: june.start(), ..record })
        .collect();
    let half = archive.write(june).push_all(later.clone()).await.unwrap();
    server.stop();
    let started = Instant::now();
    for refused in [
        archive.months().await.unwrap_err(),
        archive.verify(month()).await.unwrap_err(),
        half.finish(made()).await.unwrap_err(),
    ] {
        let ArchiveError::Storage(_) = refused else { panic!("{refused}") };
        assert!(refused.to_string().contains("refused"), "{refused}");
    }
    assert!(started.elapsed() < Duration::from_secs(45), "{:?}", started.elapsed());
    server.start_again();
    assert_eq!(archive.months().await.unwrap(), [month()]);
    assert_eq!(archive.verify(month()).await.unwrap(), manifest);
    let writer = archive.write(june).push_all(later).await.unwrap();
    let manifest = writer.finish(made()).await.unwrap();
    assert_eq!(archive.publish(&manifest).await.unwrap(), Published::New);
    assert_eq!(archive.verify(june).await.unwrap().content.count, 5);
}

#[tokio::test]
async fn objects_that_were_changed_are_found() {
    type Change = fn(&mut Vec<u8>);
    let (server, archive, manifest) = scene().await;
    let part = manifest.parts[0].name.clone();
    let changes: [(&str, &str, Change); 5] = [
        (&part, "was changed", |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }),
        (&part, "bytes instead of", |bytes| bytes.truncate(bytes.len() - 1)),
        (&part, "has more than", |bytes| bytes.push(0)),
        ("manifest.json", "does not parse", |bytes| bytes.truncate(bytes.len() / 2)),
        ("manifest.json", "what its manifest counts", |bytes| {
            let text = String::from_utf8(bytes.clone()).unwrap();
            *bytes = text.replace("\"denied\": 20", "\"denied\": 19").into_bytes();
        }),
    ];
    for (name, message, change) in changes {
        let file = file(&server, name);
        let genuine = std::fs::read(&file).unwrap();
        let mut changed = genuine.clone();
        change(&mut changed);
        assert_ne!(changed, genuine);
        std::fs::write(&file, changed).unwrap();
        let refused = archive.verify(month()).await.unwrap_err();
        assert!(matches!(refused, ArchiveError::Damaged { .. }), "{message}: {refused}");
        assert!(refused.to_string().contains(message), "{message}: {refused}");
        std::fs::write(&file, genuine).unwrap();
        assert_eq!(archive.verify(month()).await.unwrap(), manifest);
    }
    std::fs::remove_file(file(&server, &part)).unwrap();
    let refused = archive.verify(month()).await.unwrap_err().to_string();
    assert!(refused.contains("is missing"), "{refused}");
}

fn file(server: &s3::Server, name: &str) -> std::path::PathBuf {
    server.file(&format!("sentinel/decisions/2026-05/{name}"))
}
