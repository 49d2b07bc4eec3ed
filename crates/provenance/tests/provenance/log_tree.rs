//! Trees, tiles and proofs, against a naive tree that follows RFC 6962 word by word.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::Index;
use sentinel_provenance::Sha256Digest;
use sentinel_provenance::log::{
    EntriesError, EntryTile, Frontier, FrontierError, Growth, GrowthError, ProveError, Tile,
    TilePath, consistency_tiles, empty_root, encode_entries, frontier_tiles, grow_entries,
    growth_tiles, inclusion_tiles, leaf_hash, load_frontier, node_hash, parse_entries,
    prove_consistency, prove_inclusion, verify_consistency, verify_inclusion,
};

use crate::memory_log::MemoryLog;

/// Section 2.1: the Merkle tree hash of a list.
fn root_of(leaves: &[Sha256Digest]) -> Sha256Digest {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(middle(leaves.len()));
            node_hash(&root_of(left), &root_of(right))
        }
    }
}

/// The largest power of two smaller than `length`.
fn middle(length: usize) -> usize {
    length.next_power_of_two() / 2
}

/// Section 2.1.1: `PATH(m, D[n])`.
fn path(index: usize, leaves: &[Sha256Digest]) -> Vec<Sha256Digest> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(middle(leaves.len()));
    let (mut proof, beside) = if index < left.len() {
        (path(index, left), right)
    } else {
        (path(index - left.len(), right), left)
    };
    proof.push(root_of(beside));
    proof
}

/// Section 2.1.2: `SUBPROOF(m, D[n], b)`.
fn subproof(old: usize, leaves: &[Sha256Digest], whole: bool) -> Vec<Sha256Digest> {
    if old == leaves.len() {
        return if whole { Vec::new() } else { vec![root_of(leaves)] };
    }
    let (left, right) = leaves.split_at(middle(leaves.len()));
    let (mut proof, beside) = if old <= left.len() {
        (subproof(old, left, whole), right)
    } else {
        (subproof(old - left.len(), right, false), left)
    };
    proof.push(root_of(beside));
    proof
}

fn hashes(count: usize) -> Vec<Sha256Digest> {
    (0..count).map(|n| leaf_hash(format!("leaf {n}").as_bytes())).collect()
}

/// A tile with the leaves' own hashes, by its definition in tlog-tiles.
fn naive_tile(tile: Tile, leaves: &[Sha256Digest]) -> Vec<Sha256Digest> {
    let each = 256_usize.pow(u32::from(tile.level()));
    let first = usize::try_from(tile.index()).unwrap() * 256 * each;
    leaves[first..].chunks(each).take(usize::from(tile.width())).map(root_of).collect()
}

#[test]
fn roots_are_the_published_ones() {
    // The reference inputs of Certificate Transparency.
    let leaves = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut frontier = Frontier::new();
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(frontier.root().to_hex(), empty);
    for (leaf, root) in leaves.iter().zip(roots) {
        frontier.append(leaf_hash(&hex::decode(leaf).unwrap())).unwrap();
        assert_eq!(frontier.root().to_hex(), root, "{}", frontier.size());
    }
}

#[test]
fn every_small_tree_and_proof_is_the_naive_one() {
    let leaves = hashes(70);
    let mut log = MemoryLog::new();
    for size in 1..=leaves.len() {
        log.fill(1);
        let tree = &leaves[..size];
        let root = root_of(tree);
        let n = size as u64;
        assert_eq!((log.frontier.size(), log.frontier.root()), (n, root));
        for index in 0..size {
            let proof = log.inclusion(index as u64);
            assert_eq!(proof, path(index, tree), "{index} of {size}");
            let verify = |index: u64, leaf: &Sha256Digest, proof: &[Sha256Digest]| {
                verify_inclusion(index, n, leaf, proof, &root)
            };
            assert_eq!(verify(index as u64, &tree[index], &proof), Ok(()));
            for other in (0..size).filter(|other| *other != index) {
                assert!(verify(other as u64, &tree[index], &proof).is_err());
                assert!(verify(index as u64, &tree[other], &proof).is_err());
            }
        }
        for old in 0..=size {
            let proof = log.consistency(old as u64);
            let expected = if old == 0 { Vec::new() } else { subproof(old, tree, true) };
            assert_eq!(proof, expected, "{old} to {size}");
            let old_root = root_of(&leaves[..old]);
            let o = old as u64;
            assert_eq!(verify_consistency(o, &old_root, n, &root, &proof), Ok(()));
            for other in (1..size).filter(|other| *other != old) {
                let other_root = root_of(&leaves[..other]);
                assert!(verify_consistency(o, &other_root, n, &root, &proof).is_err());
                assert!(verify_consistency(other as u64, &old_root, n, &root, &proof).is_err());
            }
        }
    }
}

#[test]
fn a_proof_that_is_changed_cut_or_lengthened_does_not_verify() {
    let mut log = MemoryLog::new();
    log.fill(300);
    let root = log.frontier.root();
    let leaves = hashes(300);
    let inclusion = log.inclusion(271);
    let old = log.consistency(200);
    let old_root = root_of(&leaves[..200]);
    let included = |proof: &[_]| verify_inclusion(271, 300, &leaves[271], proof, &root).is_ok();
    let consistent = |proof: &[_]| verify_consistency(200, &old_root, 300, &root, proof).is_ok();
    let check = |proof: &[Sha256Digest], holds: &dyn Fn(&[Sha256Digest]) -> bool| {
        assert!(holds(proof));
        assert!(!holds(&proof[1..]) && !holds(&proof[..proof.len() - 1]) && !holds(&[]));
        for extra in [empty_root(), root, proof[0]] {
            assert!(!holds(&[proof, &[extra]].concat()));
            assert!(!holds(&[&[extra], proof].concat()));
        }
        for byte in 0..proof.len() * 32 {
            let mut bytes = proof.iter().flat_map(|hash| *hash.as_bytes()).collect::<Vec<u8>>();
            bytes[byte] ^= 1 << (byte % 8);
            let changed: Vec<_> = bytes.as_chunks::<32>().0.to_vec();
            let changed: Vec<_> = changed.into_iter().map(Sha256Digest::from_bytes).collect();
            assert!(!holds(&changed), "byte {byte}");
        }
    };
    check(&inclusion, &included);
    check(&old, &consistent);
}

#[test]
fn sizes_at_the_edges_prove_nothing_by_themselves() {
    let (empty, leaf) = (empty_root(), leaf_hash(b"leaf"));
    assert!(verify_inclusion(0, 0, &leaf, &[], &leaf).is_err());
    assert!(verify_inclusion(1, 1, &leaf, &[], &leaf).is_err());
    assert!(verify_inclusion(u64::MAX, u64::MAX, &leaf, &[], &leaf).is_err());
    assert_eq!(verify_inclusion(0, 1, &leaf, &[], &leaf), Ok(()));
    assert_eq!(verify_consistency(0, &empty, 0, &empty, &[]), Ok(()));
    assert_eq!(verify_consistency(0, &empty, 1, &leaf, &[]), Ok(()));
    assert!(verify_consistency(0, &leaf, 1, &leaf, &[]).is_err());
    assert!(verify_consistency(0, &empty, 0, &leaf, &[]).is_err());
    assert!(verify_consistency(0, &empty, 1, &empty, &[]).is_err());
    assert!(verify_consistency(0, &empty, 1, &leaf, &[leaf]).is_err());
    assert!(verify_consistency(2, &leaf, 1, &leaf, &[]).is_err());
    assert!(verify_consistency(u64::MAX, &leaf, u64::MAX, &empty, &[]).is_err());
}

#[test]
fn proofs_beyond_the_tree_are_refused() {
    let none = |_| Err::<Vec<Sha256Digest>, _>("not asked");
    assert_eq!(prove_inclusion(5, 5, none), Err(ProveError::OutOfRange));
    assert_eq!(prove_consistency(6, 5, none), Err(ProveError::OutOfRange));
    assert_eq!(prove_inclusion(0, u64::MAX, none), Err(ProveError::OutOfRange));
    assert_eq!(prove_consistency(1, u64::MAX, none), Err(ProveError::OutOfRange));
    assert_eq!(load_frontier(u64::MAX, none), Err(ProveError::OutOfRange));
    assert_eq!(prove_inclusion(0, 1, none), Ok(Vec::new()));
}

#[test]
fn a_tile_that_is_missing_or_short_is_named() {
    let tile = Tile::new(0, 0, 5).unwrap();
    let missing = prove_inclusion(0, 5, |_| Err("gone")).unwrap_err();
    assert_eq!(missing, ProveError::Read { tile, reason: "gone" });
    assert_eq!(missing.to_string(), "tile `tile/0/000.p/5` could not be read: gone");
    let short = prove_inclusion(0, 5, |_| Ok::<_, &str>(hashes(3))).unwrap_err();
    assert_eq!(short, ProveError::TooShort { tile });
}

/// What a proof reads grows with the number of levels: two tiles for each.
#[test]
fn proofs_read_few_tiles_whatever_the_size() {
    for size in [1, 2, 255, 256, 257, 65_536, 65_537, 10_000_000, 1 << 40, (1 << 63) - 1] {
        let levels = (1..8).find(|levels| size >> (8 * levels) == 0_u64).unwrap_or(8);
        let last = size - 1;
        for index in [0, last.min(1), size / 3, size / 2, last.saturating_sub(1), last] {
            // Hashes of nothing real: which tiles are read depends on numbers only.
            let asked = RefCell::new(Vec::new());
            let read = |tile: Tile| {
                asked.borrow_mut().push(tile);
                Ok::<_, ()>(vec![empty_root(); usize::from(tile.width())])
            };
            let proof = prove_inclusion(index, size, read).unwrap();
            assert!(proof.len() <= 63);
            let read_once: BTreeSet<Tile> = asked.borrow().iter().copied().collect();
            assert_eq!(read_once.len(), asked.take().len(), "no tile is read twice");
            assert_eq!(Some(&read_once), inclusion_tiles(index, size).as_ref());
            assert!(read_once.len() <= 2 * levels, "{} for {index} of {size}", read_once.len());

            prove_consistency(index, size, read).unwrap();
            let read_once: BTreeSet<Tile> = asked.take().into_iter().collect();
            assert_eq!(Some(&read_once), consistency_tiles(index, size).as_ref());
            assert!(read_once.len() <= 2 * levels);

            assert_eq!(load_frontier(size, read).unwrap().size(), size);
            let read_once: BTreeSet<Tile> = asked.take().into_iter().collect();
            assert_eq!(Some(&read_once), frontier_tiles(size).as_ref());
            assert!(read_once.len() <= levels);
            assert!(growth_tiles(size, 256).len() <= levels);
        }
    }
}

#[test]
fn growth_does_not_extend_a_tile_of_another_tree() {
    let mut log = MemoryLog::new();
    log.fill(65_536 + 256 * 3 + 7);
    let leaves = [leaf_hash(b"next")];
    let asked = RefCell::new(Vec::new());
    let grow = |change: &dyn Fn(Tile, &mut Vec<Sha256Digest>)| {
        Growth::of(&log.frontier, &leaves, |tile| {
            asked.borrow_mut().push(tile);
            let mut hashes = log.read(tile)?;
            change(tile, &mut hashes);
            Ok::<_, String>(hashes)
        })
    };
    let whole = grow(&|_, _| {}).unwrap();
    assert_eq!(asked.take(), [Tile::new(0, 259, 7).unwrap()]);
    assert_eq!(grow(&|_, hashes| hashes.push(leaves[0])), Ok(whole), "a wider tile will do");
    for position in 0..7 {
        let damaged = grow(&|_, hashes| hashes[position] = leaves[0]);
        assert!(matches!(damaged, Err(GrowthError::Corrupt { .. })), "{position}");
    }
    let short = grow(&|_, hashes| hashes.truncate(6));
    assert!(matches!(short, Err(GrowthError::Corrupt { .. })));
    let gone = Growth::of(&log.frontier, &leaves, |_| Err("gone"));
    assert!(matches!(gone, Err(GrowthError::Read { reason: "gone", .. })));

    // Nothing else is needed when the damage is above: filling a tile reads the next level.
    let many = vec![leaves[0]; 249];
    let above = Growth::of(&log.frontier, &many, |tile| {
        let mut hashes = log.read(tile)?;
        if tile.level() == 1 {
            hashes[0] = leaves[0];
        }
        Ok::<_, String>(hashes)
    });
    let tile = Tile::new(1, 1, 3).unwrap();
    assert_eq!(above, Err(GrowthError::Corrupt { tile }));
}

#[test]
fn a_frontier_of_another_length_is_refused() {
    let mut frontier = Frontier::new();
    for hash in hashes(11) {
        frontier.append(hash).unwrap();
    }
    let bytes = frontier.to_bytes();
    assert_eq!(Frontier::from_bytes(&bytes), Ok(frontier));
    for bytes in [&bytes[1..], &bytes[..bytes.len() - 32], &[], &[bytes.as_slice(), &[0]].concat()]
    {
        assert_eq!(Frontier::from_bytes(bytes), Err(FrontierError::Malformed));
    }
    let mut full = Frontier::from_subtrees(i64::MAX as u64, vec![empty_root(); 63]).unwrap();
    assert_eq!(full.append(empty_root()), Err(FrontierError::Full));
    assert!(Frontier::from_subtrees(1 << 63, vec![empty_root()]).is_err());
}

#[test]
fn entry_bundles_are_strict() {
    let bytes = encode_entries(["", "a", "bc"]).unwrap();
    assert_eq!(parse_entries(&bytes, 3), Ok(vec![&b""[..], b"a", b"bc"]));
    for (bytes, width) in [(&bytes[..], 2), (&bytes, 4), (&bytes[..8], 3), (b"\0", 1), (b"", 1)] {
        assert_eq!(parse_entries(bytes, width), Err(EntriesError::Malformed { expected: width }));
    }
    let too_long = encode_entries([vec![0; 65_536]]);
    assert_eq!(too_long, Err(EntriesError::TooLong { actual: 65_536 }));
    assert!(grow_entries(3, &bytes[1..], &["d"]).is_err(), "another bundle is not extended");
    assert_eq!(grow_entries::<&str>(3, &bytes, &[]), Ok(Vec::new()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However a tree was grown, its tiles, root and proofs are the naive ones.
    #[test]
    fn grown_trees_are_naive_trees(
        // With one of them a whole level is filled at once.
        batches in prop::collection::vec(prop_oneof![9 => 0u64..700, 1 => Just(65_536)], 1..6),
        at: Index,
        from: Index,
    ) {
        let mut log = MemoryLog::new();
        for batch in batches {
            let asked = RefCell::new(BTreeSet::new());
            let added = vec![empty_root(); usize::try_from(batch).unwrap()];
            let read = |tile| {
                asked.borrow_mut().insert(tile);
                log.read(tile)
            };
            prop_assert!(Growth::of(&log.frontier, &added, read).is_ok());
            prop_assert_eq!(asked.take(), growth_tiles(log.frontier.size(), batch));
            log.fill(batch);
        }
        let size = usize::try_from(log.frontier.size()).unwrap();
        prop_assume!(size > 0);
        let leaves = hashes(size);
        let root = root_of(&leaves);
        prop_assert_eq!(log.frontier.root(), root);
        for (tile, hashes) in &log.tiles {
            prop_assert_eq!(hashes, &naive_tile(*tile, &leaves), "{}", tile);
        }
        let n = size as u64;
        let loaded = load_frontier(n, |tile| log.read(tile)).unwrap();
        prop_assert_eq!(&loaded, &log.frontier);
        let (index, old) = (at.index(size), from.index(size + 1));
        let proof = log.inclusion(index as u64);
        prop_assert_eq!(&proof, &path(index, &leaves));
        prop_assert!(verify_inclusion(index as u64, n, &leaves[index], &proof, &root).is_ok());
        let proof = log.consistency(old as u64);
        let old_root = root_of(&leaves[..old]);
        prop_assert!(verify_consistency(old as u64, &old_root, n, &root, &proof).is_ok());
    }

    /// Bundles grown in batches hold exactly the entries, in full bundles and a last one.
    #[test]
    fn grown_entry_bundles_hold_every_entry(
        batches in prop::collection::vec(0usize..400, 1..6),
    ) {
        let mut bundles: BTreeMap<u64, (EntryTile, Vec<u8>)> = BTreeMap::new();
        let mut size = 0_usize;
        for batch in batches {
            let entries: Vec<_> = (size..size + batch).map(|n| format!("entry {n}")).collect();
            let partial = match size % 256 {
                0 => Vec::new(),
                _ => bundles[&(size as u64 / 256)].1.clone(),
            };
            for (tile, bytes) in grow_entries(size as u64, &partial, &entries).unwrap() {
                bundles.insert(tile.index(), (tile, bytes));
            }
            size += batch;
        }
        let mut read = Vec::new();
        for (index, (tile, bytes)) in &bundles {
            prop_assert_eq!(Some(*tile), EntryTile::in_tree(*index, size as u64));
            let entries = parse_entries(bytes, tile.width()).unwrap();
            read.extend(entries.into_iter().map(|entry| String::from_utf8(entry.to_vec()).unwrap()));
        }
        prop_assert_eq!(read, (0..size).map(|n| format!("entry {n}")).collect::<Vec<_>>());
    }

    #[test]
    fn paths_are_read_as_they_are_written(level in 0u8..10, index: u64, width in 0u16..300) {
        if let Ok(tile) = Tile::new(level, index, width) {
            prop_assert_eq!(TilePath::parse(&tile.to_string()), Ok(TilePath::Hashes(tile)));
        }
        if let Ok(tile) = EntryTile::new(index >> 9, width) {
            prop_assert_eq!(TilePath::parse(&tile.to_string()), Ok(TilePath::Entries(tile)));
        }
    }

    #[test]
    fn tile_contents_are_read_as_they_are_written(width in 1u16..=256) {
        let tile = Tile::new(0, 0, width).unwrap();
        let hashes = hashes(usize::from(width));
        let bytes = Tile::write_hashes(&hashes);
        prop_assert_eq!(tile.parse_hashes(&bytes), Ok(hashes));
        prop_assert!(tile.parse_hashes(&bytes[1..]).is_err());
    }
}
