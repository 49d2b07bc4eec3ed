//! Paths of tiles, and the contents of tiles and entry bundles, from anywhere: parsing does not
//! panic, and what parses is written back byte for byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sentinel_provenance::log::{
    EntryTile, Frontier, Tile, TilePath, encode_entries, grow_entries, parse_entries,
};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = str::from_utf8(bytes)
        && let Ok(path) = TilePath::parse(text)
    {
        assert_eq!(path.to_string(), text);
        match path {
            TilePath::Hashes(tile) => {
                assert_eq!(Tile::new(tile.level(), tile.index(), tile.width()), Ok(tile));
            }
            TilePath::Entries(tile) => {
                assert_eq!(EntryTile::new(tile.index(), tile.width()), Ok(tile));
            }
        }
    }
    if let Ok(frontier) = Frontier::from_bytes(bytes) {
        assert_eq!(frontier.to_bytes(), bytes);
        let _ = frontier.root();
        let _ = frontier.clone().append(frontier.root());
    }
    for width in [1, 2, 3, 255, 256] {
        if let Ok(entries) = parse_entries(bytes, width) {
            assert_eq!(encode_entries(&entries).as_deref(), Ok(bytes));
            let grown = grow_entries(
                u64::from(width % 256),
                if width < 256 { bytes } else { &[] },
                &entries,
            );
            assert!(!grown.expect("a parsed bundle can grow").is_empty());
        }
        let tile = Tile::new(0, 0, width).expect("a tile of every tree that large");
        if let Ok(hashes) = tile.parse_hashes(bytes) {
            assert_eq!(Tile::write_hashes(&hashes), bytes);
        }
    }
});
