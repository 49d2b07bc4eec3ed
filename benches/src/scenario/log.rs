//! Bundles out of logs of different sizes: the time must not grow with them.

use std::{collections::BTreeMap, path::Path, time::Instant};

use anyhow::{Context as _, ensure};
use rusqlite::{Connection, OptionalExtension as _, params};
use sentinel_provenance::{
    Sha256Digest,
    log::{Checkpoint, Ed25519NoteSigner, Frontier, Growth, Tile, leaf_hash},
};

use super::{
    Times,
    kills::connect,
    manifests::{BODY, json, text},
};
use crate::{
    load::{self, Mode},
    report::{LOAD_COLUMNS, Row, Table},
    sentinel::Product,
};

const SIZES: [u64; 4] = [10_000, 100_000, 1_000_000, 10_000_000];
/// Manifests whose bundles are asked for; the oldest of the log, whose proofs are the longest.
const MANIFESTS: usize = 500;
/// Bytes of a leaf, as a P-256 key makes them.
const LEAF: usize = 489;
/// Leaves of one transaction.
const BATCH: u64 = 65_536;
/// Well below saturation, where it is not the queue that is measured.
const RATE: f64 = 500.0;
const ORIGIN: &str = "log.localhost";

/// Grows a log with foreign leaves, and asks for bundles at each size; the ratio is the rate over
/// that of the smallest.
pub(crate) fn measure(product: &Product, times: Times) -> anyhow::Result<Table> {
    let mut table = Table::new("bundles by entries of the log", LOAD_COLUMNS);
    let sentinel = product.start("log")?;
    let mut stream = connect(&sentinel.address)?;
    let sign = sentinel.request("POST", "/provenance/sign", "agent")?.request(BODY.as_bytes());
    let mut ids = Vec::with_capacity(MANIFESTS);
    for _ in 0..MANIFESTS {
        let signed = json(&mut stream, &sign)?;
        ids.push(text(&signed, "manifest_id")?);
    }
    let last = format!("/v1/manifests/{}/bundle", ids.last().context("no manifest")?);
    json(&mut stream, &sentinel.request("GET", &last, "auditor")?.request(b""))?;
    let data = sentinel.data.clone();
    drop((stream, sentinel));
    let mut smallest = None;
    for size in SIZES {
        let began = Instant::now();
        grow(&data.join("sentinel.db"), size)?;
        let took = began.elapsed();
        let sentinel = product.start_again("log")?;
        let requests = ids.iter().map(|id| {
            let path = format!("/v1/manifests/{id}/bundle");
            Ok(sentinel.request("GET", &path, "auditor")?.request(b""))
        });
        let requests = requests.collect::<anyhow::Result<Vec<_>>>()?;
        let write = |sequence: u64, buffer: &mut Vec<u8>| {
            let index = usize::try_from(sequence).unwrap_or(0) % requests.len();
            buffer.extend_from_slice(requests.get(index).map_or(&[], Vec::as_slice));
        };
        let plan = times.plan(&sentinel, 16, Mode::Closed);
        let closed = load::run(&plan, &write, &load::ignore_answers)?;
        let plan = times.plan(&sentinel, 16, Mode::Open { per_second: RATE });
        let steady = load::run(&plan, &write, &load::ignore_answers)?;
        ensure!(closed.errors() + steady.errors() == 0, "bundles were refused");
        let base = smallest.get_or_insert_with(|| closed.clone());
        let mut row = Row::load(format!("{size} entries, 16 connections"), &closed, Some(base))?;
        row.remarks.push(format!("grown to that in {:.0} s", took.as_secs_f64()));
        table.push(row);
        table.push(Row::load(format!("{size} entries, steady 500/s"), &steady, None)?);
    }
    Ok(table)
}

/// Appends leaves to the stored log until it has `size`, and signs that.
fn grow(database: &Path, size: u64) -> anyhow::Result<()> {
    let mut connection = Connection::open(database)?;
    // Of a server that is not running, and whose log is thrown away.
    connection.pragma_update(None, "synchronous", "OFF")?;
    let sql = "SELECT value FROM secrets WHERE name = 'log_key ' || ?1";
    let seed: [u8; 32] = connection.query_row(sql, [ORIGIN], |row| row.get(0))?;
    let signer = Ed25519NoteSigner::from_seed(ORIGIN, &seed)?;
    loop {
        let transaction = connection.transaction()?;
        let frontier: Vec<u8> =
            transaction.query_row("SELECT frontier FROM log_heads", [], |row| row.get(0))?;
        let frontier = Frontier::from_bytes(&frontier)?;
        let from = frontier.size();
        if from >= size {
            return Ok(());
        }
        let hashes = append(&transaction, from..size.min(from + BATCH))?;
        let growth = Growth::of(&frontier, &hashes, |tile| read(&transaction, tile))?;
        write(&transaction, growth.tiles)?;
        let (size, root) = (growth.frontier.size(), growth.frontier.root());
        let note = Checkpoint::new(ORIGIN, size, root)?.sign(&signer)?.to_string();
        let sql = "UPDATE log_heads SET size = ?1, frontier = ?2, checkpoint = ?3";
        transaction.execute(sql, params![size.cast_signed(), growth.frontier.to_bytes(), note])?;
        let sql = "UPDATE log_counters SET next_index = ?1";
        transaction.execute(sql, [size.cast_signed()])?;
        transaction.commit()?;
    }
}

fn append(
    connection: &Connection,
    indexes: std::ops::Range<u64>,
) -> anyhow::Result<Vec<Sha256Digest>> {
    let sql = "INSERT INTO log_entries (shard, log_index, leaf) VALUES (1, ?1, ?2)";
    let mut statement = connection.prepare_cached(sql)?;
    let mut hashes = Vec::new();
    for index in indexes {
        let mut leaf = index.to_be_bytes().to_vec();
        leaf.resize(LEAF, b'x');
        statement.execute(params![index.cast_signed(), leaf])?;
        hashes.push(leaf_hash(&leaf));
    }
    Ok(hashes)
}

fn read(connection: &Connection, tile: Tile) -> Result<Vec<Sha256Digest>, String> {
    let sql = "SELECT hashes FROM log_tiles WHERE level = ?1 AND tile_index = ?2";
    let found: Option<Vec<u8>> = connection
        .query_row(sql, params![tile.level(), tile.index().cast_signed()], |row| row.get(0))
        .optional()
        .map_err(|error| error.to_string())?;
    let bytes = found.ok_or("there is no such tile")?;
    let (hashes, _) = bytes.as_chunks::<32>();
    Ok(hashes.iter().copied().map(Sha256Digest::from_bytes).collect())
}

/// Of the partial tiles of a batch only the last state is written.
fn write(connection: &Connection, tiles: Vec<(Tile, Vec<Sha256Digest>)>) -> anyhow::Result<()> {
    let latest: BTreeMap<_, _> =
        tiles.into_iter().map(|(tile, hashes)| ((tile.level(), tile.index()), hashes)).collect();
    let sql = "INSERT INTO log_tiles (shard, level, tile_index, hashes) VALUES (1, ?1, ?2, ?3)
        ON CONFLICT DO UPDATE SET hashes = excluded.hashes";
    let mut statement = connection.prepare_cached(sql)?;
    for ((level, index), hashes) in latest {
        statement.execute(params![level, index.cast_signed(), Tile::write_hashes(&hashes)])?;
    }
    Ok(())
}
