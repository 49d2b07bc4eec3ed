//! The findings of an audit, and their meaning.

use std::fmt::Write as _;

use thiserror::Error;

use crate::digest::Sha256Digest;
use crate::log::checkpoint::{CheckpointError, SignedCheckpoint};
use crate::log::tile::TilePath;
use crate::log::witness::WitnessPolicyError;

/// A problem with a log, or with what was kept of it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Finding {
    /// The log signed two states of which neither continues the other.
    #[error("`{}` and `{}` are signed by the log and contradict each other", .0.one_label, .0.other_label)]
    Fork(Box<Contradiction>),
    /// The log serves an earlier state than it signed before.
    #[error(
        "log was rolled back: it has {} entries, `{}` has {}",
        .0.other.size(), .0.one_label, .0.one.size()
    )]
    Rollback(Box<Contradiction>),
    /// The log did not sign the checkpoint.
    #[error("checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// Too few witnesses saw the checkpoint.
    #[error("checkpoint: {0}")]
    Witness(#[from] WitnessPolicyError),
    /// A file of the log does not exist.
    #[error("`{path}` is missing")]
    Absent {
        /// Where it should be.
        path: TilePath,
    },
    /// A file of the log is malformed.
    #[error("`{path}`: {reason}")]
    Malformed {
        /// Where it is.
        path: TilePath,
        /// What is wrong with it.
        reason: String,
    },
    /// A hash tile does not match the entries.
    #[error("`{path}` does not have the hash of {}", Entries(*.first, *.last))]
    Hash {
        /// The tile.
        path: TilePath,
        /// First entry below the first hash that differs.
        first: u64,
        /// Last entry below it.
        last: u64,
    },
    /// An entry is not a valid leaf.
    #[error("entry {index}: {reason}")]
    Leaf {
        /// Its index.
        index: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A statement is in the log twice.
    #[error("entry {index} is about the same statement as entry {first}")]
    Twice {
        /// Where it is first.
        first: u64,
        /// Where it is again.
        index: u64,
    },
    /// A key signed after it was revoked.
    #[error("entry {index} is signed by `{key}`, revoked from entry {since} on")]
    Revoked {
        /// The entry.
        index: u64,
        /// Fingerprint of the key.
        key: String,
        /// Index of the revocation.
        since: u64,
    },
    /// The entries do not lead to the signed root.
    #[error(
        "the {size} entries have the root `{computed}`, the checkpoint has `{signed}`{}",
        Between(*.sound, *.unsound)
    )]
    Root {
        /// How many entries.
        size: u64,
        /// Their root.
        computed: Sha256Digest,
        /// The signed root.
        signed: Sha256Digest,
        /// The size of the largest kept checkpoint that the entries match.
        sound: Option<u64>,
        /// The size of the smallest kept checkpoint that they do not match.
        unsound: Option<u64>,
    },
    /// A bundle proves another entry than the log serves.
    #[error("entry {index} is not the one that bundle `{label}` proves")]
    Entry {
        /// Its index.
        index: u64,
        /// Which bundle.
        label: String,
    },
    /// A bundle that was kept is invalid.
    #[error("bundle `{label}`: {reason}")]
    Bundle {
        /// Which bundle.
        label: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A log does not continue the one before.
    #[error("log `{origin}` does not continue `{predecessor}`: {reason}")]
    Succession {
        /// The later log.
        origin: String,
        /// The log before.
        predecessor: String,
        /// What is wrong.
        reason: String,
    },
}

/// Two contradictory notes that the log signed. They do not show which one is true. A fork proves
/// that the operator deceived a reader; a rollback needs an explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    /// The one that was kept.
    pub one: SignedCheckpoint,
    /// Where it comes from.
    pub one_label: String,
    /// The other.
    pub other: SignedCheckpoint,
    /// Where that comes from.
    pub other_label: String,
}

impl Finding {
    /// Names the kind of finding, for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Fork(_) => "fork",
            Self::Rollback(_) => "rollback",
            Self::Checkpoint(_) => "checkpoint",
            Self::Witness(_) => "witness",
            Self::Absent { .. } => "file_missing",
            Self::Malformed { .. } => "file_malformed",
            Self::Hash { .. } => "tile_mismatch",
            Self::Leaf { .. } => "entry_unsound",
            Self::Twice { .. } => "entry_twice",
            Self::Revoked { .. } => "key_revoked",
            Self::Root { .. } => "root_mismatch",
            Self::Entry { .. } => "entry_rewritten",
            Self::Bundle { .. } => "bundle_unsound",
            Self::Succession { .. } => "succession",
        }
    }

    /// What it means, for people.
    #[must_use]
    pub const fn meaning(&self) -> &'static str {
        match self {
            Self::Fork(_) => {
                "the operator showed different histories: something was changed, removed or added \
                 after it had been signed"
            }
            Self::Rollback(_) => {
                "entries that the log had signed are gone, as after the restoration of an old \
                 backup, or an outdated copy is being served"
            }
            Self::Checkpoint(_) => "the log is not authentic: its key did not sign what it has",
            Self::Witness(_) => {
                "others may be shown another history: too few witnesses saw this one"
            }
            Self::Absent { .. } => "the log was truncated, or lost what it had signed",
            Self::Malformed { .. } | Self::Hash { .. } => {
                "the file is damaged, or entries were changed, removed or inserted"
            }
            Self::Leaf { .. } => "the log vouches for something that no key signed",
            Self::Twice { .. } => "one action is counted as two",
            Self::Revoked { .. } => {
                "a stolen key signed this, or the server did not know of the revocation"
            }
            Self::Root { .. } => {
                "the files agree with each other, and not with what was signed: entries and tiles \
                 were rewritten together"
            }
            Self::Entry { .. } => "what the bundle proves was removed from the log, or replaced",
            Self::Bundle { .. } => "the bundle proves nothing; it may have been forged",
            Self::Succession { .. } => "entries of the earlier log may be missing at its end",
        }
    }

    /// What to keep as evidence, for people.
    #[must_use]
    pub const fn keep(&self) -> &'static str {
        match self {
            Self::Fork(_) | Self::Rollback(_) => {
                "both notes and a copy of the log: anyone who has its key can check the signatures"
            }
            Self::Checkpoint(_) | Self::Witness(_) => "the checkpoint as it is served",
            Self::Absent { .. } => "the checkpoint, which says how much there must be",
            Self::Entry { .. } | Self::Bundle { .. } => {
                "the bundle, which has the log's signature, and a copy of the log"
            }
            _ => "the checkpoint and a copy of the log's files as they are",
        }
    }

    /// A text with both notes of a contradiction and an explanation.
    #[must_use]
    pub fn evidence(&self) -> Option<String> {
        let (title, Contradiction { one, one_label, other, other_label }) = match self {
            Self::Fork(both) => ("fork", both.as_ref()),
            Self::Rollback(both) => ("rollback", both.as_ref()),
            _ => return None,
        };
        let mut text = format!(
            "Evidence of a {title} of the log `{}`\n\n{self}.\nThis means: {}.\n\
             Each note below is as the log signed it: from the line after its heading up to the \
             next one.\n",
            one.checkpoint().origin(),
            self.meaning()
        );
        for (number, note, label) in [(1, one, one_label), (2, other, other_label)] {
            // Writing to a string does not fail.
            let _ = write!(
                text,
                "\n---- note {number}: {} entries, from `{label}`\n{}",
                note.size(),
                note.note()
            );
        }
        Some(text)
    }

    /// The most severe finding comes first. Findings of one rank keep the order of the log.
    pub(super) const fn rank(&self) -> u8 {
        match self {
            Self::Fork(_) => 0,
            Self::Rollback(_) => 1,
            Self::Checkpoint(_) | Self::Witness(_) => 2,
            // An entry in a damaged file says nothing about what the log committed to.
            Self::Leaf { .. } | Self::Twice { .. } | Self::Revoked { .. } => 4,
            _ => 3,
        }
    }
}

struct Entries(u64, u64);

impl std::fmt::Display for Entries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.0, self.1) {
            (first, last) if first == last => write!(f, "entry {first}"),
            (first, last) => write!(f, "entries {first} to {last}"),
        }
    }
}

/// Between which kept checkpoints the first change is.
struct Between(Option<u64>, Option<u64>);

impl std::fmt::Display for Between {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.0, self.1) {
            (None, None) => Ok(()),
            (Some(sound), None) => write!(f, "; the first {sound} are as they were signed"),
            (None, Some(unsound)) => write!(f, "; a change is among the first {unsound}"),
            (Some(sound), Some(unsound)) => {
                write!(f, "; a change is among entries {sound} to {}", unsound.saturating_sub(1))
            }
        }
    }
}
