use std::borrow::Cow;
use std::fmt;

use sentinel_core::decision::ReasonCode;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::{Object, ObjectBuilder, Type};

/// A reason code as it was received. A server may be newer than its client: a code that this
/// version does not know is kept as text, and a decision that has one can still be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code {
    Known(ReasonCode),
    Unknown(Box<str>),
}

impl Code {
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(code) => code.as_str(),
            Self::Unknown(text) => text,
        }
    }

    /// The code, if this version knows it.
    #[must_use]
    pub const fn known(&self) -> Option<ReasonCode> {
        match self {
            Self::Known(code) => Some(*code),
            Self::Unknown(_) => None,
        }
    }
}

impl From<ReasonCode> for Code {
    fn from(code: ReasonCode) -> Self {
        Self::Known(code)
    }
}

impl PartialEq<ReasonCode> for Code {
    fn eq(&self, code: &ReasonCode) -> bool {
        self.known() == Some(*code)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Ok(text.parse().map_or_else(|_| Self::Unknown(text.into()), Self::Known))
    }
}

/// Schema of the closed set of reason codes.
#[must_use]
pub fn reason_code() -> Object {
    let meanings: Vec<_> = ReasonCode::ALL
        .iter()
        .map(|(code, meaning)| format!("- `{}`:{meaning}", code.as_str()))
        .collect();
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(format!("Why, for programs; a closed set.\n\n{}", meanings.join("\n"))))
        .enum_values(Some(ReasonCode::ALL.iter().map(|(code, _)| code.as_str())))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_and_any_other_text_survive_the_wire() {
        for (code, _) in ReasonCode::ALL {
            let json = serde_json::to_string(&Code::from(*code)).unwrap();
            assert_eq!(json, format!("\"{}\"", code.as_str()));
            assert_eq!(serde_json::from_str::<Code>(&json).unwrap(), *code);
        }
        let newer: Code = serde_json::from_str("\"of_tomorrow\"").unwrap();
        assert_eq!((newer.as_str(), newer.known()), ("of_tomorrow", None));
    }
}
