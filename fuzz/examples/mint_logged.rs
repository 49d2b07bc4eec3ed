//! Writes the seeds of the targets `note`, `leaf`, `tile_path` and `logged_bundle`, and the public
//! keys they need, and forgets the private ones. Run it in `fuzz/` when a format changes.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sentinel_provenance::bundle::TransparencyLogEntry;
use sentinel_provenance::log::{
    Checkpoint, Ed25519NoteSigner, Frontier, Growth, HashedRekord, KeyKind, NoteSignature,
    NoteSigner as _, Tile, TrustedLog, TrustedRoot, VerifierKey, encode_entries, leaf_hash,
    prove_inclusion,
};
use sentinel_provenance::{Bundle, EcdsaP256Signer, Envelope, Signer as _};

const INDEX: u64 = 260;

fn main() -> Result<(), Box<dyn Error>> {
    for target in ["note", "leaf", "tile_path", "logged_bundle"] {
        fs::create_dir_all(format!("seeds/{target}"))?;
    }
    let signer = EcdsaP256Signer::generate()?;
    let log = Ed25519NoteSigner::generate("log.example")?;
    let statement = fs::read("seeds/envelope/statement.json")?;
    let envelope = Envelope::sign(statement, &signer)?;
    let leaf = HashedRekord::of(&envelope, signer.public_key());
    let mut hashes = vec![leaf_hash(b"another"); 300];
    hashes[usize::try_from(INDEX)?] = leaf.leaf_hash();
    let growth = Growth::of(&Frontier::new(), &hashes, |_| Err("an empty tree has no tiles"))?;
    let (size, root) = (growth.frontier.size(), growth.frontier.root());
    fs::write("seeds/tile_path/frontier", growth.frontier.to_bytes())?;
    for (tile, hashes) in &growth.tiles {
        fs::write(
            format!("seeds/tile_path/path-{}-{}", tile.level(), tile.index()),
            tile.to_string(),
        )?;
        fs::write(
            format!("seeds/tile_path/tile-{}-{}", tile.level(), tile.index()),
            Tile::write_hashes(hashes),
        )?;
    }
    fs::write("seeds/tile_path/entries", encode_entries(["", "one", "three"])?)?;
    fs::write("seeds/tile_path/path-entries", "tile/entries/x001/x234/067.p/5")?;

    let note = Checkpoint::new("log.example", size, root)?.sign(&log)?;
    let (witness, line) = cosign(note.text())?;
    let note = note.with_signatures(NoteSignature::parse_lines(&line)?)?;
    let text = note.to_string();
    let checkpoint = Checkpoint::open(&text, log.verifier_key())?;
    let tiles: BTreeMap<_, _> = growth.tiles.into_iter().collect();
    let proof = prove_inclusion(INDEX, size, |tile| tiles.get(&tile).cloned().ok_or("no tile"))?;
    let entry = TransparencyLogEntry::new(log.verifier_key(), &leaf, INDEX, proof, &checkpoint)?;
    let bundle = Bundle::new(envelope, signer.public_key())?.with_log_entry(entry)?;
    let since = "2026-11-01T00:00:00Z".parse()?;
    let trusted = TrustedRoot { logs: vec![TrustedLog::new(log.verifier_key().clone(), since)?] };

    fs::write("seeds/note/checkpoint.txt", &text)?;
    fs::write("seeds/note/key.txt", log.verifier_key().to_string())?;
    fs::write("seeds/note/line.txt", &line)?;
    fs::write("seeds/leaf/leaf.json", leaf.to_bytes())?;
    fs::write("seeds/leaf/root.json", trusted.to_json()?)?;
    fs::write("seeds/logged_bundle/genuine.json", bundle.to_json()?)?;
    fs::write("log.vkey", format!("{}\n", log.verifier_key()))?;
    fs::write("witness.vkey", format!("{witness}\n"))?;
    fs::write("logged-root.json", trusted.to_json()?)?;
    fs::write("logged.pem", signer.public_key().to_spki_pem()?)?;
    Ok(())
}

/// A witness's key and its signature line for a checkpoint.
fn cosign(text: &str) -> Result<(VerifierKey, String), Box<dyn Error>> {
    let pair = Ed25519KeyPair::generate()?;
    let key = pair.public_key().as_ref().try_into()?;
    let key = VerifierKey::new("witness.example/w", KeyKind::CosignatureV1, key)?;
    let time = 1_800_000_000_u64;
    let signature = pair.sign(format!("cosignature/v1\ntime {time}\n{text}").as_bytes());
    let bytes = [&key.id()[..], &time.to_be_bytes(), signature.as_ref()].concat();
    let line = format!("— {} {}\n", key.name(), STANDARD.encode(bytes));
    Ok((key, line))
}
