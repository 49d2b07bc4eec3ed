//! `input` as the interpreter's value, built directly and with as little copying as it takes.

use std::collections::HashMap;
use std::sync::Arc;

use regorus::Value;
use regorus::value::Object;
use sentinel_core::policy::PolicyInput;
use sentinel_core::principal::{ApiKey, Principal};
use sentinel_core::tool::Tool;
use sentinel_policy_analysis::interpreter::map_value;
use serde_json::Map;

/// Values of this many tools and keys are kept by each thread.
const CACHED: usize = 1024;

/// Values that are the same for the same `Arc`. The `Arc` is kept, so that its address cannot come
/// to mean something else.
struct Cache<T>(HashMap<*const T, (Arc<T>, Value)>);

impl<T> Cache<T> {
    fn get(&mut self, key: &Arc<T>, make: impl FnOnce(&T) -> Value) -> Value {
        if let Some((_, value)) = self.0.get(&Arc::as_ptr(key)) {
            return value.clone();
        }
        if self.0.len() >= CACHED {
            self.0.clear();
        }
        let value = make(key);
        self.0.insert(Arc::as_ptr(key), (Arc::clone(key), value.clone()));
        value
    }
}

/// Builds inputs on one thread.
pub(crate) struct InputBuilder {
    keys: Keys,
    tools: Cache<Tool>,
    principals: Cache<ApiKey>,
    empty: Value,
}

struct Keys {
    action: Value,
    agent: Value,
    arguments: Value,
    context: Value,
    principal: Value,
    purpose: Value,
    tenant: Value,
    time: Value,
    tool: Value,
    tool_record: Value,
    usage: Value,
}

impl InputBuilder {
    pub(crate) fn new() -> Self {
        Self {
            keys: Keys {
                action: Value::from("action"),
                agent: Value::from("agent"),
                arguments: Value::from("arguments"),
                context: Value::from("context"),
                principal: Value::from("principal"),
                purpose: Value::from("purpose"),
                tenant: Value::from("tenant"),
                time: Value::from("time"),
                tool: Value::from("tool"),
                tool_record: Value::from("tool_record"),
                usage: Value::from("usage"),
            },
            tools: Cache(HashMap::new()),
            principals: Cache(HashMap::new()),
            empty: Value::new_object(),
        }
    }

    /// What is absent is left out: `null` is smaller than every number to Rego.
    pub(crate) fn build(&mut self, input: &PolicyInput<'_>) -> Value {
        let keys = &self.keys;
        let principal = match input.principal.key() {
            Some(key) => self.principals.get(key, |_| principal(input.principal)),
            None => principal(input.principal),
        };
        let tool_record = self.tools.get(input.tool_record, tool_record);
        let object =
            |map: &Map<_, _>| if map.is_empty() { self.empty.clone() } else { map_value(map) };
        let fields = [
            (&keys.action, Some(Value::from(input.action.as_str()))),
            (&keys.agent, input.agent.map(|agent| Value::from(agent.as_str()))),
            (&keys.arguments, Some(object(input.arguments))),
            (&keys.context, Some(object(input.context))),
            (&keys.principal, Some(principal)),
            (&keys.purpose, input.purpose.map(|purpose| Value::from(purpose.as_str()))),
            (&keys.tenant, Some(Value::from(input.tenant.as_str()))),
            (&keys.time, Some(Value::from(input.time.to_string()))),
            (&keys.tool, Some(Value::from(input.tool.as_str()))),
            (&keys.tool_record, Some(tool_record)),
            (&keys.usage, Some(Value::from(input.usage))),
        ];
        let present = fields.into_iter().filter_map(|(key, value)| Some((key.clone(), value?)));
        Value::from(present.collect::<Object>())
    }
}

fn principal(principal: &Principal) -> Value {
    let roles: Vec<_> = principal.roles().iter().map(|role| Value::from(role.as_str())).collect();
    object([("id", Value::from(principal.id())), ("roles", Value::from(roles))])
}

fn tool_record(tool: &Tool) -> Value {
    let scopes: Vec<Value> = tool.scopes.iter().map(|scope| Value::from(scope.as_str())).collect();
    object([
        ("owner", Value::from(tool.owner.as_str())),
        ("scopes", Value::from(scopes)),
        ("metadata", map_value(&tool.metadata)),
        ("url", Value::from(tool.url.as_str())),
        ("digest", Value::from(tool.digest())),
    ])
}

fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::from(
        fields.into_iter().map(|(key, value)| (Value::from(key), value)).collect::<Object>(),
    )
}
