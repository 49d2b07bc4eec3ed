//! Strict JSON reading, shared by every parser of this crate.
//!
//! Two verifiers that disagree about a duplicate key would see two different
//! statements under one signature, so duplicates are refused at every depth,
//! also inside free-form objects. Errors carry a position and never a value:
//! they may reach a log.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess,
};
use serde::{Serialize, de};
use serde_json::error::Category;
use thiserror::Error;

/// How deeply arrays and objects may nest, the outermost counting as one.
pub const MAX_DEPTH: usize = 64;

/// Why a JSON document was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JsonError {
    /// The document is longer than the limit; it was not parsed.
    #[error("document has {actual} bytes, the limit is {limit}")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
        /// The document's length in bytes.
        actual: usize,
    },
    /// The document is not JSON.
    #[error("invalid JSON at line {line} column {column}")]
    Syntax {
        /// One-based line.
        line: usize,
        /// Column in bytes within the line.
        column: usize,
    },
    /// An object names one key twice.
    #[error("duplicate key at line {line} column {column}")]
    DuplicateKey {
        /// One-based line.
        line: usize,
        /// Column in bytes within the line.
        column: usize,
    },
    /// Arrays and objects nest deeper than [`MAX_DEPTH`].
    #[error("nested deeper than {MAX_DEPTH} levels at line {line} column {column}")]
    TooDeep {
        /// One-based line.
        line: usize,
        /// Column in bytes within the line.
        column: usize,
    },
    /// The document is JSON, but a field is missing, unexpected or of another type.
    #[error("missing, unexpected or malformed field at line {line} column {column}")]
    Shape {
        /// One-based line.
        line: usize,
        /// Column in bytes within the line.
        column: usize,
    },
    /// A value could not be written as JSON.
    #[error("value has no JSON form")]
    Unwritable,
}

/// Parses `bytes` as a `T`, refusing oversize, deep and ambiguous documents.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<T, JsonError> {
    check(bytes, limit)?;
    serde_json::from_slice(bytes).map_err(|error| located(&error, None))
}

/// Writes `value`, refusing what [`read`] would refuse: nothing may be signed
/// that its verifier cannot parse.
pub(crate) fn write<T: Serialize>(value: &T, limit: usize) -> Result<Vec<u8>, JsonError> {
    let bytes = serde_json::to_vec(value).map_err(|_| JsonError::Unwritable)?;
    check(&bytes, limit)?;
    Ok(bytes)
}

fn check(bytes: &[u8], limit: usize) -> Result<(), JsonError> {
    if bytes.len() > limit {
        return Err(JsonError::TooLarge { limit, actual: bytes.len() });
    }
    let defect = Cell::new(None);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    Walk { depth: 0, defect: &defect }
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end())
        .map_err(|error| located(&error, defect.get()))
}

fn located(error: &serde_json::Error, defect: Option<Defect>) -> JsonError {
    let (line, column) = (error.line(), error.column());
    match (defect, error.classify()) {
        (Some(Defect::DuplicateKey), _) => JsonError::DuplicateKey { line, column },
        (Some(Defect::TooDeep), _) => JsonError::TooDeep { line, column },
        (None, Category::Data) => JsonError::Shape { line, column },
        (None, Category::Syntax | Category::Eof | Category::Io) => {
            JsonError::Syntax { line, column }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Defect {
    DuplicateKey,
    TooDeep,
}

/// Visits a whole document, keeping nothing but the keys of the open objects.
#[derive(Clone, Copy)]
struct Walk<'a> {
    depth: usize,
    defect: &'a Cell<Option<Defect>>,
}

impl Walk<'_> {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            self.defect.set(Some(Defect::TooDeep));
            return Err(E::custom("nested too deeply"));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> de::Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut seen = BTreeSet::new();
        while let Some(key) = members.next_key::<String>()? {
            if !seen.insert(key) {
                self.defect.set(Some(Defect::DuplicateKey));
                return Err(A::Error::custom("duplicate key"));
            }
            members.next_value_seed(inner)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn refused(text: &str) -> JsonError {
        read::<Value>(text.as_bytes(), 4096).unwrap_err()
    }

    #[test]
    fn duplicate_keys_are_refused_at_every_depth() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"x":[{"a":1,"b":2,"\u0061":3}]}"#] {
            assert!(matches!(refused(text), JsonError::DuplicateKey { .. }), "{text}");
        }
        assert!(read::<Value>(br#"[{"a":1},{"a":1,"b":{"a":2}}]"#, 4096).is_ok());
    }

    #[test]
    fn depth_is_limited_exactly() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read::<Value>(nested(MAX_DEPTH).as_bytes(), 4096).is_ok());
        assert!(matches!(refused(&nested(MAX_DEPTH + 1)), JsonError::TooDeep { .. }));
    }

    #[test]
    fn size_is_limited_exactly() {
        assert!(read::<Value>(b"[1]", 3).is_ok());
        assert_eq!(
            read::<Value>(b"[12]", 3).unwrap_err(),
            JsonError::TooLarge { limit: 3, actual: 4 }
        );
        assert!(matches!(write(&"abcd", 5), Err(JsonError::TooLarge { .. })));
    }

    #[test]
    fn trailing_and_broken_text_is_refused() {
        for text in ["", "{", "{} {}", "nul", "\"\\ud800\"", "1e999"] {
            assert!(matches!(refused(text), JsonError::Syntax { .. }), "{text}");
        }
    }

    #[test]
    fn errors_do_not_repeat_the_document() {
        let error = read::<u64>(br#""hunter2""#, 100).unwrap_err();
        assert!(matches!(error, JsonError::Shape { .. }));
        assert!(!error.to_string().contains("hunter2"));
    }
}
