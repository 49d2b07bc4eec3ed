//! Sends the transparency log to other services, and verifies what they return.
//!
//! - [`Witness`] asks a C2SP witness to cosign checkpoints.
//! - [`Mirror`] copies tiles and checkpoints to object storage.
//! - [`Rekor`] enters leaves into a second log, a Rekor v2.
//! - [`Outlets`] does all of this for the log in the store, and continues where it stopped.
//! - [`Timestamper`] has signatures timestamped (RFC 3161).
//!
//! Invariants:
//! - A response is kept only after it has been verified against a configured key. Responses are
//!   bounded in length and time.
//! - Nothing here is on the path of a manifest. A peer that is unavailable for hours delays only its
//!   own results.
//! - A peer that knows a larger or another tree than ours is distinguished from all other failures:
//!   that is how a rolled back or forked log looks from outside.

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
