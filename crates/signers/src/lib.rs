//! Signing keys: where they are stored, and how they sign.
//!
//! A [`KeySource`] is the configured place of a key: a PEM file, plain or encrypted, an environment
//! variable, or the [`KeyAddress`] of a service that signs and never reveals the key (Vault's
//! Transit engine, AWS KMS, Google Cloud KMS). Opening it gives a [`KeyService`]. A [`ManifestKey`]
//! signs statements with a key, a [`LogKey`] the checkpoints of a log.
//!
//! Invariants:
//! - A signature from a service is verified before anything uses it.
//! - Responses of a service are bounded in size and time. Requests are repeated only where that is
//!   safe.
//! - A key is pinned when it is opened. If it is rotated, or its alias moved, nothing changes until
//!   it is opened again.
//! - No message and no `Debug` output contains key material, a token or a passphrase.

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
