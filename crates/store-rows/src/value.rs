//! From values to columns.

use std::borrow::Cow;

use jiff::Timestamp;
use sentinel_core::ports::StoreError;
use serde::Serialize;
use uuid::Uuid;

/// The value of a column, as it is bound. Null has a type, since PostgreSQL demands one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'v> {
    Text(Option<Cow<'v, str>>),
    Bytes(Option<&'v [u8]>),
    Integer(Option<i64>),
    Boolean(bool),
    Uuid(Option<Uuid>),
    Time(Option<Timestamp>),
}

impl<'v> Value<'v> {
    /// A count, kept as the signed integer with the same bits.
    pub fn count(count: impl Into<Option<u64>>) -> Self {
        Self::Integer(count.into().map(u64::cast_signed))
    }

    /// A count of 32 bits.
    pub fn small(count: impl Into<Option<u32>>) -> Self {
        Self::Integer(count.into().map(i64::from))
    }

    pub fn text<T: AsRef<str> + ?Sized>(text: &'v T) -> Self {
        Self::Text(Some(Cow::Borrowed(text.as_ref())))
    }

    pub fn text_optional<T: AsRef<str>>(text: Option<&'v T>) -> Self {
        Self::Text(text.map(|text| Cow::Borrowed(text.as_ref())))
    }

    pub fn bytes(bytes: &'v [u8]) -> Self {
        Self::Bytes(Some(bytes))
    }

    pub fn uuid(uuid: impl Into<Option<Uuid>>) -> Self {
        Self::Uuid(uuid.into())
    }

    pub fn time(time: impl Into<Option<Timestamp>>) -> Self {
        Self::Time(time.into())
    }
}

impl<'v> From<Option<&'v str>> for Value<'v> {
    fn from(text: Option<&'v str>) -> Self {
        Self::Text(text.map(Cow::Borrowed))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Some(Cow::Owned(text)))
    }
}

impl From<Option<String>> for Value<'_> {
    fn from(text: Option<String>) -> Self {
        Self::Text(text.map(Cow::Owned))
    }
}

/// A value as JSON text.
///
/// # Errors
/// [`StoreError::Unavailable`] when it cannot be written as JSON.
pub fn json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Unavailable(error.to_string()))
}
