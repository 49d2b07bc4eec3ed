//! A transparency log: the formats and proofs, without storage or network.
//!
//! A log is a Merkle tree (RFC 6962) over leaves that only ever grow in number.
//! Its operator signs the root from time to time, in a [`Checkpoint`]. With it,
//! a reader can check that a leaf is in the tree ([`verify_inclusion`]) and that
//! a later tree still begins with the earlier one ([`verify_consistency`]). The
//! tree is kept and served as *tiles*, 256 hashes wide. All formats are C2SP's
//! (tlog-tiles, signed-note, tlog-checkpoint, tlog-cosignature, tlog-witness).
//!
//! ```
//! use std::collections::BTreeMap;
//! use sentinel_provenance::log::{
//!     Checkpoint, Ed25519NoteSigner, Frontier, Growth, NoteSigner as _, leaf_hash,
//!     prove_inclusion, verify_inclusion,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let signer = Ed25519NoteSigner::generate("log.example")?;
//! let mut tiles = BTreeMap::new();
//! let leaves = [leaf_hash(b"first"), leaf_hash(b"second"), leaf_hash(b"third")];
//!
//! // Append: nothing is changed, the tiles to write are given back.
//! let Growth { tiles: changed, frontier } =
//!     Growth::of(&Frontier::new(), &leaves, |_| Err("an empty tree has no tiles"))?;
//! tiles.extend(changed);
//!
//! // Publish.
//! let checkpoint = Checkpoint::new("log.example", frontier.size(), frontier.root())?;
//! let note = checkpoint.sign(&signer)?.to_string();
//!
//! // Prove, from the tiles alone, and verify, from the checkpoint alone.
//! let proof = prove_inclusion(1, 3, |tile| tiles.get(&tile).cloned().ok_or("no such tile"))?;
//! let signed = Checkpoint::open(&note, signer.verifier_key())?;
//! verify_inclusion(1, signed.size(), &leaf_hash(b"second"), &proof, &signed.root())?;
//! # Ok(())
//! # }
//! ```
//!
//! Invariants:
//! - Reading is strict: for each value there is one text, and whatever parses is
//!   written back byte for byte.
//! - Proofs cost a number of tiles that grows with the logarithm of the size.
//! - Tiles are not trusted: [`Growth::of`] checks those it extends against the
//!   frontier, and a proof made from damaged tiles does not verify.

mod audit;
mod checkpoint;
mod entries;
mod frontier;
mod growth;
mod leaf;
mod merkle;
mod note;
mod note_key;
mod proof;
mod prove;
mod tile;
mod trusted_root;
mod witness;
mod witness_policy;

pub use audit::{
    Audit, AuditReport, AuditState, AuditStateError, Contradiction, Expectations, Finding, LogFile,
    MAX_AUDIT_STATE_BYTES, MAX_LOG_FILE_BYTES, ReadFile, Retained, Revoked, Succession, log_files,
};
pub use checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
pub use entries::{EntriesError, MAX_ENTRY_BYTES, encode_entries, grow_entries, parse_entries};
pub use frontier::{Frontier, FrontierError};
pub use growth::{Growth, GrowthError, growth_tiles};
pub use leaf::{HashedRekord, LEAF_KIND, LEAF_VERSION, LeafError};
pub use merkle::{MAX_TREE_SIZE, empty_root, leaf_hash, node_hash};
pub use note::{MAX_NOTE_BYTES, MAX_NOTE_SIGNATURES, Note, NoteError, NoteSignature};
pub use note_key::{Ed25519NoteSigner, KeyKind, KeyName, NoteKeyError, NoteSigner, VerifierKey};
pub use proof::{ProofMismatch, verify_consistency, verify_inclusion};
pub use prove::{
    ProveError, consistency_tiles, frontier_tiles, inclusion_tiles, load_frontier,
    prove_consistency, prove_inclusion,
};
pub use tile::{EntryTile, TILE_WIDTH, Tile, TileError, TilePath};
pub use trusted_root::{
    MAX_TRUSTED_ROOT_BYTES, TRUSTED_ROOT_MEDIA_TYPE, TrustedAuthority, TrustedLog, TrustedRoot,
    TrustedRootError,
};
pub use witness::{
    AddCheckpoint, AddCheckpointError, Cosignature, WitnessPolicy, WitnessPolicyError,
    add_checkpoint_body,
};
pub use witness_policy::{MAX_POLICY_BYTES, PolicyFileError};
