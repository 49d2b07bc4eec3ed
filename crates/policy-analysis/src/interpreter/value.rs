//! Values of the interpreter, made of JSON.

use regorus::Value;
use regorus::value::Object;
use serde_json::Map;

/// The interpreter's form of a JSON object.
#[must_use]
pub fn map_value(map: &Map<String, serde_json::Value>) -> Value {
    let fields = map.iter().map(|(key, value)| (Value::from(key.as_str()), json_value(value)));
    Value::from(fields.collect::<Object>())
}

/// The interpreter's form of a JSON value. The request parser has bounded its depth.
#[must_use]
pub fn json_value(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::from(*value),
        serde_json::Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => Value::from(number),
            (None, Some(number)) => Value::from(number),
            (None, None) => number.as_f64().map_or(Value::Undefined, Value::from),
        },
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Array(items) => {
            Value::from(items.iter().map(json_value).collect::<Vec<_>>())
        }
        serde_json::Value::Object(map) => map_value(map),
    }
}
