//! The key of the deployment, which wraps those of the tenants.

use std::fmt;

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::seal::Sealer;

/// A key of a tenant. Erased from memory when dropped.
pub type RawKey = Zeroizing<[u8; 32]>;

/// Wraps the keys of tenants. One in a key service never gives its own key away, so that what is
/// kept here is worth nothing without that service.
///
/// `context` says whose key it is. It is authenticated and not kept: Vault's `associated_data`, the
/// encryption context of AWS KMS, the additional authenticated data of Google's.
#[async_trait]
pub trait KeyWrapper: Send + Sync + fmt::Debug {
    /// # Errors
    /// [`WrapError`] when it cannot be wrapped.
    async fn wrap(&self, key: &RawKey, context: &[u8]) -> Result<Vec<u8>, WrapError>;

    /// # Errors
    /// [`WrapError::Refused`] when it was not wrapped so, with this context.
    async fn unwrap_key(&self, wrapped: &[u8], context: &[u8]) -> Result<RawKey, WrapError>;
}

/// Why a key was not wrapped or unwrapped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrapError {
    /// It may go better later.
    #[error("payload keys cannot be wrapped or unwrapped now: {0}")]
    Unavailable(String),
    #[error("it was wrapped with another key, or for another tenant, or was changed")]
    Refused,
}

/// Wraps with a key that this process has: AES-256-GCM.
pub struct LocalKeyWrapper(Sealer);

impl LocalKeyWrapper {
    /// # Errors
    /// When the cipher takes no such key; it takes every one of 32 bytes.
    pub fn new(key: &RawKey) -> Result<Self, WrapError> {
        Sealer::new(key).map(Self).ok_or_else(broken)
    }
}

#[async_trait]
impl KeyWrapper for LocalKeyWrapper {
    async fn wrap(&self, key: &RawKey, context: &[u8]) -> Result<Vec<u8>, WrapError> {
        self.0.seal(context, key.as_slice()).ok_or_else(broken)
    }

    async fn unwrap_key(&self, wrapped: &[u8], context: &[u8]) -> Result<RawKey, WrapError> {
        let opened = self.0.open(context, wrapped).ok_or(WrapError::Refused)?;
        let key = opened.as_slice().try_into().map_err(|_| WrapError::Refused)?;
        Ok(Zeroizing::new(key))
    }
}

fn broken() -> WrapError {
    WrapError::Unavailable("the cipher failed".to_owned())
}

impl fmt::Debug for LocalKeyWrapper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalKeyWrapper(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapper(byte: u8) -> LocalKeyWrapper {
        LocalKeyWrapper::new(&Zeroizing::new([byte; 32])).unwrap()
    }

    #[tokio::test]
    async fn a_key_is_unwrapped_by_the_key_and_for_whom_it_was_wrapped() {
        let key = Zeroizing::new([9; 32]);
        let wrapped = wrapper(1).wrap(&key, b"acme").await.unwrap();
        assert_ne!(wrapped, wrapper(1).wrap(&key, b"acme").await.unwrap(), "a nonce came twice");
        assert!(!wrapped.windows(8).any(|part| part == [9; 8]));
        assert_eq!(wrapper(1).unwrap_key(&wrapped, b"acme").await, Ok(key.clone()));
        let refused = Err(WrapError::Refused);
        assert_eq!(wrapper(2).unwrap_key(&wrapped, b"acme").await, refused);
        assert_eq!(wrapper(1).unwrap_key(&wrapped, b"beside").await, refused);
        for at in 0..wrapped.len() {
            let mut changed = wrapped.clone();
            changed[at] ^= 1;
            assert_eq!(wrapper(1).unwrap_key(&changed, b"acme").await, refused, "byte {at}");
            assert_eq!(wrapper(1).unwrap_key(&wrapped[..at], b"acme").await, refused);
        }
        // A plaintext that cannot be a key.
        let short = wrapper(1).0.seal(b"acme", &[9; 31]).unwrap();
        assert_eq!(wrapper(1).unwrap_key(&short, b"acme").await, refused);
    }

    #[test]
    fn keys_are_not_printed() {
        assert_eq!(format!("{:?}", wrapper(1)), "LocalKeyWrapper(..)");
    }
}
