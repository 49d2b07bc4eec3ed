//! Strict parsing of JSON that arrives from outside.
//!
//! Two JSON parsers may read the same bytes differently: duplicate keys, integers that turn into
//! floats, lone surrogates. What a policy decided on must be what a tool receives, so every input
//! on which parsers are known to differ is refused here, and the byte, depth and count limits are
//! enforced while reading, before anything is built.
//!
//! The tokenizer is `serde_json`'s. A first pass ([`Check`]) builds nothing and refuses; a second
//! pass deserializes the same bytes, so a field of type [`serde_json::value::RawValue`] keeps
//! exactly the bytes that were checked.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

pub use self::error::{JsonError, Position};
use self::error::{MAX_ECHO, excerpt, field_error, syntax_error};
pub use weight::weight;

mod error;
pub mod patch;
#[cfg(test)]
mod tests;
mod weight;

/// `serde_json` stops at 128 levels by itself; a larger [`Limits::max_depth`] has no effect.
const PARSER_MAX_DEPTH: usize = 126;
/// Up to this many keys an object is searched for duplicates key by key; beyond it, by sorting.
const SCANNED_KEYS: usize = 16;
/// `serde_json` reads these keys as instructions: an object whose first key is its raw-value marker
/// would become the document inside its string, which no limit has seen.
const RESERVED_KEYS: &str = "$serde_json::private::";
/// Every integer outside `i64` and `u64` has at least this magnitude (2^63).
const INTEGER_EDGE: f64 = 9_223_372_036_854_775_808.0;

/// What an untrusted document may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Size of the whole document, in bytes.
    pub max_bytes: usize,
    /// Nesting of arrays and objects; a scalar has depth 0, `[]` has depth 1. At most 126.
    pub max_depth: usize,
    /// Number of values: scalars, arrays and objects, the root included.
    pub max_nodes: usize,
    /// Size of one string value, in bytes of UTF-8 after escapes are resolved.
    pub max_string_bytes: usize,
    /// Size of one object key, in bytes of UTF-8 after escapes are resolved.
    pub max_key_bytes: usize,
}

impl Limits {
    /// The limits of policy data that is put.
    pub const POLICY_DATA: Self = Self {
        max_bytes: 1024 * 1024,
        max_depth: 32,
        max_nodes: 200_000,
        max_string_bytes: 128 * 1024,
        max_key_bytes: 1024,
    };

    /// The limits of a request body.
    pub const REQUEST: Self = Self {
        max_bytes: 256 * 1024,
        max_depth: 32,
        max_nodes: 20_000,
        max_string_bytes: 128 * 1024,
        max_key_bytes: 1024,
    };
}

/// Parses one JSON document into a [`Value`], strictly.
///
/// # Errors
/// Every [`JsonError`] but `InvalidField`.
pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Value, JsonError> {
    parse_as(bytes, limits)
}

/// Checks a JSON document as [`parse`] does, then deserializes a `T` from the same bytes.
///
/// `serde`'s derived structs also read an array, by position; [`parse_object_as`] refuses that at
/// the root.
///
/// # Errors
/// As [`parse`]; `InvalidField` when the document is not a `T`.
pub fn parse_as<T: DeserializeOwned>(bytes: &[u8], limits: &Limits) -> Result<T, JsonError> {
    deserialize(check(bytes, limits)?)
}

/// As [`parse_as`], for a document that must be an object: the form for request bodies.
///
/// # Errors
/// As [`parse_as`]; `InvalidField` with the path `$` when the root is not an object.
pub fn parse_object_as<T: DeserializeOwned>(bytes: &[u8], limits: &Limits) -> Result<T, JsonError> {
    let text = check(bytes, limits)?;
    let start = bytes.iter().position(|b| !b.is_ascii_whitespace()).unwrap_or(0);
    if bytes.get(start) != Some(&b'{') {
        return Err(JsonError::InvalidField {
            path: "$".to_owned(),
            detail: "expected an object".to_owned(),
            at: Position::of_offset(bytes, start),
        });
    }
    deserialize(text)
}

/// The compact form with sorted keys that is hashed and forwarded.
///
/// `parse(canonical(v)) == v` for every `v` that [`parse`] accepts. Not RFC 8785: integers beyond
/// 2^53 are kept exactly, and numbers print as `serde_json` prints them.
#[must_use]
pub fn canonical(value: &Value) -> Vec<u8> {
    // Writing a `Value` to memory does not fail; `Display` writes the same bytes, only slower.
    serde_json::to_vec(value).unwrap_or_else(|_| value.to_string().into_bytes())
}

/// The second pass.
fn deserialize<T: DeserializeOwned>(text: &str) -> Result<T, JsonError> {
    serde_json::from_str(text).map_err(|error| field_error::<T>(text, error))
}

/// The first pass: refuses, or returns the document as text.
fn check<'de>(bytes: &'de [u8], limits: &Limits) -> Result<&'de str, JsonError> {
    if bytes.len() > limits.max_bytes {
        return Err(JsonError::TooLarge { size: bytes.len(), limit: limits.max_bytes });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| JsonError::InvalidUnicode {
        detail: "not utf-8",
        at: Position::of_offset(bytes, error.valid_up_to()),
    })?;
    let mut pass = Check {
        limits,
        depth: 0,
        nodes: 0,
        keys: Vec::with_capacity(2 * SCANNED_KEYS),
        large_number: false,
        fault: None,
    };
    let mut parser = serde_json::Deserializer::from_str(text);
    if let Err(error) = pass.deserialize(&mut parser).and_then(|()| parser.end()) {
        let at = Position::of_error(bytes, &error);
        return Err(pass.fault.map_or_else(|| syntax_error(&error, at), |fault| fault.at(at)));
    }
    // `serde_json` hands an integer that fits neither i64 nor u64 over as a float. Only then is the
    // text searched for it: a float token such as `1e30` is what it says and stays allowed.
    if pass.large_number
        && let Some(offset) = oversized_integer(text)
    {
        return Err(JsonError::NumberOutOfRange { at: Position::of_offset(bytes, offset) });
    }
    Ok(text)
}

/// A refusal by the first pass, without its position.
enum Fault {
    Duplicate(String),
    Reserved,
    Nul,
    Depth(usize),
    Nodes(usize),
    Text(usize),
    Key(usize),
}

impl Fault {
    fn at(self, at: Position) -> JsonError {
        match self {
            Self::Duplicate(key) => JsonError::DuplicateKey { key, at },
            Self::Reserved => JsonError::ReservedKey { at },
            Self::Nul => JsonError::InvalidUnicode { detail: "nul character", at },
            Self::Depth(limit) => JsonError::TooDeep { limit, at },
            Self::Nodes(limit) => JsonError::TooManyValues { limit, at },
            Self::Text(limit) => JsonError::StringTooLong { limit, at },
            Self::Key(limit) => JsonError::KeyTooLong { limit, at },
        }
    }
}

/// A visitor that builds nothing but the list of keys of the objects it is inside of.
struct Check<'a, 'de> {
    limits: &'a Limits,
    depth: usize,
    nodes: usize,
    /// Keys of the open objects, the innermost object's last.
    keys: Vec<Cow<'de, str>>,
    large_number: bool,
    fault: Option<Fault>,
}

impl<'de> Check<'_, 'de> {
    /// Keeps the fault and returns an error that makes the parser stop.
    fn refuse<E: serde::de::Error>(&mut self, fault: Fault) -> E {
        self.fault = Some(fault);
        E::custom("refused")
    }

    fn enter<E: serde::de::Error>(&mut self) -> Result<(), E> {
        let limit = self.limits.max_depth.min(PARSER_MAX_DEPTH);
        if self.depth >= limit {
            return Err(self.refuse(Fault::Depth(limit)));
        }
        self.depth += 1;
        Ok(())
    }

    fn text<E: serde::de::Error>(&mut self, text: &str) -> Result<(), E> {
        if text.len() > self.limits.max_string_bytes {
            return Err(self.refuse(Fault::Text(self.limits.max_string_bytes)));
        }
        Ok(())
    }

    /// Adds a key to the object whose keys start at `first`.
    fn key<E: serde::de::Error>(&mut self, first: usize, key: Cow<'de, str>) -> Result<(), E> {
        if key.len() > self.limits.max_key_bytes {
            return Err(self.refuse(Fault::Key(self.limits.max_key_bytes)));
        }
        if key.starts_with(RESERVED_KEYS) {
            return Err(self.refuse(Fault::Reserved));
        }
        if matches!(key, Cow::Owned(_)) && key.contains('\0') {
            return Err(self.refuse(Fault::Nul));
        }
        let siblings = self.keys.get(first..).unwrap_or_default();
        if siblings.len() < SCANNED_KEYS && siblings.contains(&key) {
            return Err(self.refuse(Fault::Duplicate(excerpt(&key, MAX_ECHO))));
        }
        self.keys.push(key);
        Ok(())
    }

    /// Closes the object whose keys start at `first`. Sorting keeps an object of n keys at
    /// O(n log n) comparisons whatever its keys are.
    fn close<E: serde::de::Error>(&mut self, first: usize) -> Result<(), E> {
        let own = self.keys.get_mut(first..).unwrap_or_default();
        if own.len() > SCANNED_KEYS {
            own.sort_unstable();
            let twice = own.windows(2).find_map(|pair| match pair {
                [a, b] if a == b => Some(excerpt(a, MAX_ECHO)),
                _ => None,
            });
            if let Some(key) = twice {
                return Err(self.refuse(Fault::Duplicate(key)));
            }
        }
        self.keys.truncate(first);
        self.depth -= 1;
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for &mut Check<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.nodes >= self.limits.max_nodes {
            return Err(self.refuse(Fault::Nodes(self.limits.max_nodes)));
        }
        self.nodes += 1;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Check<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a json value")
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

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        // The parser itself refuses numbers that overflow to infinity.
        self.large_number |= number.abs() >= INTEGER_EDGE;
        Ok(())
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<(), E> {
        // Text without escapes cannot hold a NUL: the parser refuses raw control characters.
        self.text(text)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        if text.contains('\0') {
            return Err(self.refuse(Fault::Nul));
        }
        self.text(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.enter()?;
        while items.next_element_seed(&mut *self)?.is_some() {}
        self.depth -= 1;
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.enter()?;
        let first = self.keys.len();
        while let Some(key) = members.next_key_seed(Key)? {
            self.key(first, key)?;
            members.next_value_seed(&mut *self)?;
        }
        self.close(first)
    }
}

/// Reads a key, borrowed from the document where it has no escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

/// The offset of the first integer that fits neither `i64` nor `u64`. `text` is valid JSON.
fn oversized_integer(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = string_end(bytes, at + 1),
            b'-' | b'0'..=b'9' => {
                let token = text.get(at..)?;
                let end = token.find(|c| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'));
                let token = token.get(..end.unwrap_or(token.len()))?;
                let is_integer = !token.contains(['.', 'e', 'E']);
                if is_integer && token.parse::<i64>().is_err() && token.parse::<u64>().is_err() {
                    return Some(at);
                }
                at += token.len();
            }
            _ => at += 1,
        }
    }
    None
}

/// The offset behind the closing quote of the string whose first character is at `at`.
fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(byte) = bytes.get(at) {
        at += match byte {
            b'"' => return at + 1,
            b'\\' => 2,
            _ => 1,
        };
    }
    at
}
