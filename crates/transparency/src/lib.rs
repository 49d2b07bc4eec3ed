//! What goes out of the transparency log, and what comes back.
//!
//! - [`Witness`] asks a C2SP witness to cosign checkpoints.
//! - [`Mirror`] copies tiles and checkpoints to object storage.
//! - [`Rekor`] enters leaves into a second log, a Rekor v2.
//! - [`Outlets`] does all that for the log in the store, as far as it was not done before.
//! - [`Timestamper`] has signatures timestamped (RFC 3161).
//!
//! Invariants:
//! - Nothing that another machine answers is kept before it was verified against a key that was
//!   configured; answers are bounded in length and in time.
//! - Nothing here is on the path of a manifest: a peer that is away for hours delays nothing but
//!   what it would have given.
//! - That a peer knows of a larger or another tree than ours is told apart from all other failures:
//!   it is what a rolled back or forked log looks like from outside.

mod mirror;
mod outlets;
mod peer;
mod rekor;
mod remote;
mod tiles;
mod timestamp;
mod witness;

pub use crate::mirror::{Mirror, MirrorError, Mirrored};
pub use crate::outlets::{Destinations, OutletCounts, OutletError, Outlets};
pub use crate::peer::{PeerError, PeerUrlError};
pub use crate::rekor::{REKOR_PATIENCE, Rekor, RekorError};
pub use crate::remote::RemoteTiles;
pub use crate::tiles::{SourceError, TileSource};
pub use crate::timestamp::{AuthorityError, TIMESTAMP_PATIENCE, TimestampError, Timestamper};
pub use crate::witness::{Cosigned, PATIENCE, Witness, WitnessError, WitnessUrlError};
