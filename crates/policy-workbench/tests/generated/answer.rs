//! What an engine says of a rule, and whether two say the same.

use serde_json::Value;

#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Value(Value),
    Undefined,
    Failed(String),
}

impl Answer {
    /// Whether it is a value that allows.
    pub(crate) fn allows(&self) -> bool {
        match self {
            Self::Value(value) => {
                let allow = if value.is_object() { &value["allow"] } else { value };
                allow == &Value::Bool(true)
            }
            Self::Undefined | Self::Failed(_) => false,
        }
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Value(one), Self::Value(other)) => same(one, other),
            (Self::Undefined, Self::Undefined) | (Self::Failed(_), Self::Failed(_)) => true,
            _ => false,
        }
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Value(value) => value.fmt(formatter),
            Self::Undefined => formatter.write_str("undefined"),
            Self::Failed(error) => write!(formatter, "error: {error}"),
        }
    }
}

/// Numbers are the same by what they are worth: `1` and `1.0` are one number to Rego.
pub(crate) fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || (one.as_f64() == other.as_f64() && one.as_f64().is_some())
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|((key, one), (name, other))| key == name && same(one, other))
        }
        _ => one == other,
    }
}
