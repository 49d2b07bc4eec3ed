//! Where signing keys are, and how they sign.
//!
//! A [`KeySource`] is what a configuration says: a PEM file, plain or encrypted, an environment
//! variable, or a [`KeyAddress`] of a service that signs and never gives the key away: Vault's Transit
//! engine, AWS KMS, Google Cloud KMS. Opened, each is a [`KeyService`]. A [`ManifestKey`] signs
//! statements with one, a [`LogKey`] the checkpoints of a log.
//!
//! Invariants:
//! - A signature that came from elsewhere is verified here before anything uses it.
//! - What a service says is bounded in size and time, and is asked for again only where that is safe.
//! - A key is pinned when it is opened: what is rotated or aliased anew elsewhere changes nothing
//!   until it is opened again.
//! - No message and no `Debug` has key material, a token or a passphrase.

mod address;
mod aws;
mod command;
mod credentials;
mod error;
mod google;
mod google_token;

mod key;
mod private_pem;
mod source;
mod transport;
mod vault;

pub use address::KeyAddress;
pub use command::{into_new_file, make_directory, owner_only, shell_word};
pub use credentials::Access;
pub use error::{Holds, Place, SignersError};
pub use key::{HeldKey, KeyService, LogKey, ManifestKey, PublicHalf, try_out};
pub use private_pem::{MAX_PEM_BYTES, PemError, decrypt_private_pem};
pub use source::{KeySource, Passphrase, Secret, read_private};
