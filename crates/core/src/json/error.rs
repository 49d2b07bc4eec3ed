//! What a refused document is told: a code, a position, and no more of the document than is safe.

use std::fmt;

use serde::de::DeserializeOwned;

use super::RESERVED_KEYS;
use crate::name::is_deceptive;

/// The most bytes of input that an error message repeats.
pub(super) const MAX_ECHO: usize = 64;
/// The most bytes of a path within that echo.
const MAX_PATH: usize = 40;
/// The most bytes of a message that a deserialized type wrote itself.
const MAX_DETAIL: usize = 240;

/// Where the parser stood when it refused: at the end of what it objects to, or at the start of it
/// for a number or an invalid byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Bytes from the start of the document.
    pub offset: usize,
    /// Line, from 1.
    pub line: usize,
    /// Bytes from the start of the line.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} column {}", self.line, self.column)
    }
}

impl Position {
    pub(super) fn of_offset(bytes: &[u8], offset: usize) -> Self {
        let before = bytes.get(..offset).unwrap_or(bytes);
        let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
        let newlines = before.iter().filter(|b| **b == b'\n').count();
        Self { offset, line: newlines + 1, column: offset - line_start }
    }

    pub(super) fn of_error(bytes: &[u8], error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let line_start = match line {
            0 | 1 => 0,
            _ => bytes
                .iter()
                .enumerate()
                .filter(|(_, b)| **b == b'\n')
                .nth(line - 2)
                .map_or(0, |(i, _)| i + 1),
        };
        Self { offset: line_start + column, line, column }
    }
}

/// Why a document was refused. A message repeats at most 64 bytes of the document, with control,
/// bidirectional and invisible characters escaped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The document has more bytes than [`Limits::max_bytes`]; nothing of it was read.
    #[error("body of {size} bytes is larger than the limit of {limit}")]
    TooLarge {
        /// Size of the document in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Not JSON, or something follows the first value.
    #[error("malformed json at {at}: {detail}")]
    Malformed {
        /// What the parser says; contains nothing of the document.
        detail: String,
        /// Where.
        at: Position,
    },
    /// Not UTF-8, half a surrogate pair, or a NUL character.
    #[error("invalid unicode at {at}: {detail}")]
    InvalidUnicode {
        /// Which of the three.
        detail: &'static str,
        /// Where.
        at: Position,
    },
    /// An object has the same key twice.
    #[error("duplicate key `{key}` in the object at {at}")]
    DuplicateKey {
        /// The key, shortened and escaped.
        key: String,
        /// Where; the end of the object when it has more than 16 keys.
        at: Position,
    },
    /// A key that the JSON library gives a meaning of its own.
    #[error("reserved key at {at}: keys must not start with `{RESERVED_KEYS}`")]
    ReservedKey {
        /// Where.
        at: Position,
    },
    /// More nesting than [`Limits::max_depth`].
    #[error("nested deeper than {limit} at {at}")]
    TooDeep {
        /// The limit.
        limit: usize,
        /// Where.
        at: Position,
    },
    /// More values than [`Limits::max_nodes`].
    #[error("more than {limit} values at {at}")]
    TooManyValues {
        /// The limit.
        limit: usize,
        /// Where.
        at: Position,
    },
    /// A string longer than [`Limits::max_string_bytes`].
    #[error("string longer than {limit} bytes at {at}")]
    StringTooLong {
        /// The limit in bytes.
        limit: usize,
        /// Where.
        at: Position,
    },
    /// A key longer than [`Limits::max_key_bytes`].
    #[error("key longer than {limit} bytes at {at}")]
    KeyTooLong {
        /// The limit in bytes.
        limit: usize,
        /// Where.
        at: Position,
    },
    /// An integer outside `i64` and `u64`, or a float that is not finite.
    #[error("number out of range at {at}")]
    NumberOutOfRange {
        /// Where.
        at: Position,
    },
    /// Well-formed, but not what the field takes.
    #[error("invalid field `{path}`: {detail}")]
    InvalidField {
        /// Path of the field, such as `agent.roles[0]`, shortened and escaped; `$` is the root.
        path: String,
        /// What was expected.
        detail: String,
        /// Where.
        at: Position,
    },
}

impl JsonError {
    /// The stable code of the error in problem documents.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "body_too_large",
            Self::Malformed { .. } => "malformed_json",
            Self::InvalidUnicode { .. } => "invalid_unicode",
            Self::DuplicateKey { .. } => "duplicate_key",
            Self::ReservedKey { .. } => "reserved_key",
            Self::TooDeep { .. } => "too_deep",
            Self::TooManyValues { .. } => "too_many_values",
            Self::StringTooLong { .. } => "string_too_long",
            Self::KeyTooLong { .. } => "key_too_long",
            Self::NumberOutOfRange { .. } => "number_out_of_range",
            Self::InvalidField { .. } => "invalid_field",
        }
    }

    /// Where the document was refused; `None` when it was refused for its size, unread.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        match self {
            Self::TooLarge { .. } => None,
            Self::Malformed { at, .. }
            | Self::InvalidUnicode { at, .. }
            | Self::DuplicateKey { at, .. }
            | Self::ReservedKey { at }
            | Self::TooDeep { at, .. }
            | Self::TooManyValues { at, .. }
            | Self::StringTooLong { at, .. }
            | Self::KeyTooLong { at, .. }
            | Self::NumberOutOfRange { at }
            | Self::InvalidField { at, .. } => Some(*at),
        }
    }
}

/// Maps an error of the tokenizer. `serde_json` keeps its codes private, so the three that are not
/// plain syntax errors are told by their messages; tests pin them.
pub(super) fn syntax_error(error: &serde_json::Error, at: Position) -> JsonError {
    let detail = without_position(error);
    match detail.as_str() {
        "number out of range" => JsonError::NumberOutOfRange { at },
        "lone leading surrogate in hex escape" | "unexpected end of hex escape" => {
            JsonError::InvalidUnicode { detail: "lone surrogate", at }
        }
        _ => JsonError::Malformed { detail, at },
    }
}

/// Deserializes once more, now keeping the path: only a refused document pays for it.
pub(super) fn field_error<T: DeserializeOwned>(text: &str, error: serde_json::Error) -> JsonError {
    let mut parser = serde_json::Deserializer::from_str(text);
    let (path, error) = match serde_path_to_error::deserialize::<_, T>(&mut parser) {
        Err(located) => (located.path().to_string(), located.into_inner()),
        Ok(_) => (".".to_owned(), error),
    };
    let path = if path == "." { "$".to_owned() } else { excerpt(&path, MAX_PATH) };
    let detail = bounded_detail(&without_position(&error), MAX_ECHO.saturating_sub(path.len()));
    JsonError::InvalidField { path, detail, at: Position::of_error(text.as_bytes(), &error) }
}

fn without_position(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    message.strip_suffix(&position).unwrap_or(&message).to_owned()
}

/// Shortens the part of serde's message that repeats input: all that precedes the last `expected`,
/// for serde's own messages. A message of another form was written by the type being deserialized,
/// which vouches for what it repeats; it is only cut.
fn bounded_detail(detail: &str, budget: usize) -> String {
    const ECHOING: [&str; 4] =
        ["invalid type: ", "invalid value: ", "unknown field `", "unknown variant `"];
    if !ECHOING.iter().any(|prefix| detail.starts_with(prefix)) {
        return excerpt(detail, MAX_DETAIL);
    }
    let tail = detail.rfind(", expected ").max(detail.rfind(", there are no "));
    let (head, tail) = detail.split_at(tail.unwrap_or(detail.len()));
    format!("{}{}", excerpt(head, budget), excerpt(tail, MAX_DETAIL))
}

/// At most `budget` bytes of `text`, with characters escaped that would deceive a reader of a log.
pub(super) fn excerpt(text: &str, budget: usize) -> String {
    let mut out = String::with_capacity(budget.min(text.len()));
    for (start, c) in text.char_indices() {
        if start + c.len_utf8() > budget {
            out.push('…');
            break;
        }
        if c.is_control() || is_deceptive(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}
