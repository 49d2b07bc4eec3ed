//! Names that arrive from outside, validated once where they enter.
//!
//! A value of one of these types has passed its rules, so nothing behind the edge checks again.
//! Identifiers are ASCII: two names that look alike to an operator must not be two names to the
//! system. Free text may be Unicode, but not with characters that reorder, hide or break a line of
//! a log or a console.

use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

mod confusable;
mod qualified;
#[cfg(test)]
mod tests;

pub(crate) use self::confusable::is_deceptive;
use self::confusable::lookalike;
pub use self::qualified::{SEPARATOR, folded, qualified, split_qualified, unqualified};

/// Why a name was refused. Messages repeat at most one character of the input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} {kind}")]
pub struct NameError {
    /// Which name, in words: `tool name`.
    pub name: &'static str,
    /// The rule that it breaks.
    pub kind: NameErrorKind,
    /// Where, in characters from 0; `None` when the whole is at fault.
    pub position: Option<usize>,
}

impl NameError {
    /// The stable code of the error in problem documents.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "invalid_name"
    }

    fn whole(name: &'static str, kind: NameErrorKind) -> Self {
        Self { name, kind, position: None }
    }

    fn at(name: &'static str, position: usize, kind: NameErrorKind) -> Self {
        Self { name, kind, position: Some(position) }
    }
}

/// The rule that a refused name breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameErrorKind {
    /// No characters, or only blank ones.
    #[error("must not be empty or blank")]
    Empty,
    /// More characters than allowed.
    #[error("must be at most {limit} characters long")]
    TooLong {
        /// The limit in characters.
        limit: usize,
    },
    /// A character outside ASCII in an identifier.
    #[error("must be ascii; it contains {}{}", CodePoint(*.found), Hint(*.looks_like))]
    NotAscii {
        /// The character.
        found: char,
        /// The ASCII character that it resembles.
        looks_like: Option<char>,
    },
    /// A character that is never allowed there.
    #[error("must not contain {}; allowed: {allowed}", CodePoint(*.found))]
    Character {
        /// The character.
        found: char,
        /// The rule in words.
        allowed: &'static str,
    },
    /// The first character is allowed only further on.
    #[error("must start with {allowed}")]
    Start {
        /// The rule in words.
        allowed: &'static str,
    },
    /// The last character is allowed only further in.
    #[error("must end with {allowed}")]
    End {
        /// The rule in words.
        allowed: &'static str,
    },
    /// Characters that are allowed singly, but not in this sequence.
    #[error("must not contain `{found}`")]
    Sequence {
        /// The sequence.
        found: &'static str,
    },
}

/// Prints a character as `U+0430`, and as itself too when it is a graphic ASCII character.
struct CodePoint(char);

impl fmt::Display for CodePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "U+{:04X}", u32::from(self.0))?;
        if self.0.is_ascii_graphic() {
            write!(f, " `{}`", self.0)?;
        }
        Ok(())
    }
}

struct Hint(Option<char>);

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |ascii| write!(f, ", which looks like `{ascii}`"))
    }
}

/// The rules of an ASCII identifier.
struct Identifier {
    name: &'static str,
    max: usize,
    allowed: &'static str,
    is_allowed: fn(char) -> bool,
    start: (fn(char) -> bool, &'static str),
    end: (fn(char) -> bool, &'static str),
    forbidden: &'static [&'static str],
}

/// For rules that put nothing on the first or last character beyond what is allowed anywhere.
const ANYTHING: (fn(char) -> bool, &str) = (|_| true, "anything");
const ALPHANUMERIC: (fn(char) -> bool, &str) = (|c| c.is_ascii_alphanumeric(), "a letter or digit");

impl Identifier {
    fn check(&self, text: &str) -> Result<(), NameError> {
        let (Some(first), Some(last)) = (text.chars().next(), text.chars().next_back()) else {
            return Err(NameError::whole(self.name, NameErrorKind::Empty));
        };
        // Before the length, so that the message about the character is the one that is seen.
        for (position, found) in text.chars().enumerate().take(self.max) {
            if !found.is_ascii() {
                let kind = NameErrorKind::NotAscii { found, looks_like: lookalike(found) };
                return Err(NameError::at(self.name, position, kind));
            }
            if !(self.is_allowed)(found) {
                let kind = NameErrorKind::Character { found, allowed: self.allowed };
                return Err(NameError::at(self.name, position, kind));
            }
        }
        if text.len() > self.max {
            return Err(NameError::whole(self.name, NameErrorKind::TooLong { limit: self.max }));
        }
        if !(self.start.0)(first) {
            let kind = NameErrorKind::Start { allowed: self.start.1 };
            return Err(NameError::at(self.name, 0, kind));
        }
        if !(self.end.0)(last) {
            let kind = NameErrorKind::End { allowed: self.end.1 };
            return Err(NameError::at(self.name, text.len() - 1, kind));
        }
        for found in self.forbidden {
            if let Some(position) = text.find(found) {
                return Err(NameError::at(self.name, position, NameErrorKind::Sequence { found }));
            }
        }
        Ok(())
    }
}

/// Unicode text for people: one line, in the order it is read, nothing hidden.
fn check_text(name: &'static str, max: usize, text: &str) -> Result<(), NameError> {
    const ALLOWED: &str = "visible characters and spaces on one line";
    for (position, found) in text.chars().enumerate() {
        if position >= max {
            return Err(NameError::whole(name, NameErrorKind::TooLong { limit: max }));
        }
        if found.is_control() || is_deceptive(found) {
            let kind = NameErrorKind::Character { found, allowed: ALLOWED };
            return Err(NameError::at(name, position, kind));
        }
    }
    if text.trim().is_empty() {
        return Err(NameError::whole(name, NameErrorKind::Empty));
    }
    Ok(())
}

/// Deserializes through `FromStr`, so that serde cannot make a value that has not been checked.
struct NameVisitor<T>(PhantomData<T>);

impl<T: FromStr<Err = NameError>> Visitor<'_> for NameVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// Declares a name: an `Arc<str>` that only the given check can make.
macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Arc<str>);

        impl $type {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let check: fn(&str) -> Result<(), NameError> = $check;
                check(text)?;
                Ok(Self(Arc::from(text)))
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($type), &*self.0)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        // Sound because the derived Eq, Ord and Hash of the newtype are those of the text.
        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.as_str().to_owned()
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(NameVisitor(PhantomData))
            }
        }
    };
}

const TENANT_SLUG: Identifier = Identifier {
    name: "tenant slug",
    max: 63,
    allowed: "lowercase letters, digits and `-`",
    is_allowed: |c| matches!(c, 'a'..='z' | '0'..='9' | '-'),
    start: ALPHANUMERIC,
    end: ALPHANUMERIC,
    forbidden: &[],
};

name! {
    /// A tenant's slug: 1 to 63 lowercase ASCII letters, digits and `-`, a letter or digit at
    /// either end, so that it can also be a DNS label.
    TenantSlug, |text| TENANT_SLUG.check(text)
}

const TOOL_NAME: Identifier = Identifier {
    name: "tool name",
    max: 128,
    allowed: "letters, digits, `.`, `_`, `-` and `/`",
    is_allowed: |c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/'),
    start: ALPHANUMERIC,
    end: ALPHANUMERIC,
    forbidden: &["..", "//"],
};

name! {
    /// A tool's name within its tenant: 1 to 128 ASCII letters, digits, `.`, `_`, `-` and `/`, a
    /// letter or digit at either end, and neither `..` nor `//`, so that it cannot lead upwards.
    ToolName, |text| TOOL_NAME.check(text)
}

const UPSTREAM_NAME: Identifier = Identifier {
    name: "upstream name",
    max: 32,
    allowed: "lowercase letters, digits and `-`",
    is_allowed: |c| matches!(c, 'a'..='z' | '0'..='9' | '-'),
    start: ALPHANUMERIC,
    end: ALPHANUMERIC,
    forbidden: &["--"],
};

name! {
    /// An upstream's name within its tenant: 1 to 32 lowercase ASCII letters, digits and single
    /// `-`, a letter or digit at either end. It has no `_`, so `upstream__tool` has one reading.
    UpstreamName, |text| UPSTREAM_NAME.check(text)
}

const AGENT_NAME: Identifier = Identifier {
    name: "agent name",
    max: 128,
    allowed: "graphic ascii characters but quotes and backslash",
    is_allowed: |c| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '`' | '\\'),
    start: ANYTHING,
    end: ANYTHING,
    forbidden: &[],
};

name! {
    /// The name an agent goes by: 1 to 128 graphic ASCII characters without quotes or backslash.
    AgentName, |text| AGENT_NAME.check(text)
}

const ACTION: Identifier = Identifier {
    name: "action",
    max: 64,
    allowed: "lowercase letters, digits, `_`, `.`, `-` and `:`",
    is_allowed: |c| matches!(c, 'a'..='z' | '0'..='9' | '_' | '.' | '-' | ':'),
    start: (|c| c.is_ascii_lowercase(), "a lowercase letter"),
    end: ANYTHING,
    forbidden: &[],
};

name! {
    /// What a call does with a tool: 1 to 64 lowercase ASCII letters, digits, `_`, `.`, `-` and
    /// `:`, a letter first.
    Action, |text| ACTION.check(text)
}

const PURPOSE: Identifier = Identifier {
    name: "purpose",
    max: 128,
    allowed: "graphic ascii characters",
    is_allowed: |c| c.is_ascii_graphic(),
    start: ANYTHING,
    end: ANYTHING,
    forbidden: &[],
};

name! {
    /// What a call is for, as policy knows it: 1 to 128 graphic ASCII characters.
    Purpose, |text| PURPOSE.check(text)
}

const CALL_ID: Identifier = Identifier { name: "call id", ..PURPOSE };

name! {
    /// The caller's own id of a call, which makes a check idempotent: 1 to 128 graphic ASCII
    /// characters.
    CallId, |text| CALL_ID.check(text)
}

const IDEMPOTENCY_KEY: Identifier = Identifier { name: "idempotency key", max: 200, ..PURPOSE };

name! {
    /// The caller's own id of an outcome that is to be signed, which makes signing it idempotent:
    /// 1 to 200 graphic ASCII characters.
    IdempotencyKey, |text| IDEMPOTENCY_KEY.check(text)
}

name! {
    /// Why someone did something, in words: 1 to 500 characters of Unicode on one line.
    Reason, |text| check_text("reason", 500, text)
}

name! {
    /// A tenant's name for people: 1 to 128 characters of Unicode on one line.
    DisplayName, |text| check_text("display name", 128, text)
}

name! {
    /// The owner of a tool, a team or an address: 1 to 128 characters of Unicode on one line.
    Owner, |text| check_text("owner", 128, text)
}

name! {
    /// What a kill may name besides tenants, tools and agents, a principal, a scope or a tag of
    /// tools: 1 to 128 characters of Unicode on one line.
    Label, |text| check_text("principal, scope or tag", 128, text)
}

impl AgentName {
    /// The name in lower case, by which agents are compared where kills and the bindings of keys
    /// are looked at. It is ASCII, so this folds all that differs in case only.
    #[must_use]
    pub fn folded(&self) -> Self {
        if self.0.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Self(self.0.to_ascii_lowercase().into())
        } else {
            self.clone()
        }
    }

    /// Whether both are one agent, in whatever letter case they are written.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Label {
    /// The label in lower case. Characters whose lower case is longer may make it longer than a
    /// label that is read can be; it only serves to be compared.
    #[must_use]
    pub fn folded(&self) -> Self {
        Self(self.0.to_lowercase().into())
    }

    /// Whether `text` is this label, in whatever letter case it is written.
    #[must_use]
    pub fn is(&self, text: &str) -> bool {
        self.0.to_lowercase() == text.to_lowercase()
    }
}

impl ToolName {
    /// The name with everything folded that a reader may confuse, for comparison only: a registry
    /// refuses a second name with the same skeleton in one tenant.
    ///
    /// Case, `0`/`o`, `1`/`l`/`i`, `_`/`-`/`.`, `rn`/`m` and `vv`/`w` fold together. `i` folds as
    /// its capital does, or names that differ only in case would not meet.
    #[must_use]
    pub fn skeleton(&self) -> String {
        let mut out = String::with_capacity(self.0.len());
        for c in self.0.chars() {
            let folded = match c.to_ascii_lowercase() {
                '0' => 'o',
                '1' | 'i' => 'l',
                '_' | '.' => '-',
                other => other,
            };
            let pair = match (out.chars().next_back(), folded) {
                (Some('r'), 'n') => Some('m'),
                (Some('v'), 'v') => Some('w'),
                _ => None,
            };
            if pair.is_some() {
                out.pop();
            }
            out.push(pair.unwrap_or(folded));
        }
        out
    }
}
