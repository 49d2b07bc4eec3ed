use serde::{Deserialize, Deserializer};
use url::Url;

/// An absolute address in a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address(pub(crate) Url);

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let parsed = Url::parse(&text).map_err(|error| {
            serde::de::Error::custom(format!("must be an absolute address: {error}"))
        })?;
        Ok(Self(parsed))
    }
}
