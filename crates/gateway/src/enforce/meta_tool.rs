//! Meta-tools: tools that call another tool, which they are told by name. Policy has to see that
//! one, too, or it could be reached around it.

use sentinel_core::check::Arguments;
use sentinel_core::name::qualified;
use serde_json::Value;

use crate::authority::{Denied, INVALID_CALL};
use sentinel_mcp_protocol::jsonrpc::Object;

/// Where a meta-tool is told what to call, as JSON pointers into its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaTool {
    pub name: String,
    pub arguments: String,
}

/// The tool that a meta-tool would call.
#[derive(Debug)]
pub(super) struct Inner {
    /// Its name in the registry.
    pub(super) tool: String,
    pub(super) arguments: Arguments,
}

impl MetaTool {
    /// What the call of a meta-tool of `upstream` with these arguments would call.
    ///
    /// # Errors
    /// When they do not say: such a call is denied.
    pub(super) fn inner(&self, upstream: &str, arguments: &Object) -> Result<Inner, Denied> {
        let name = at(arguments, &self.name).and_then(Value::as_str);
        let name = name.ok_or_else(|| invalid("it does not say which tool it calls"))?;
        // A name that is qualified already is taken as it is.
        let own = name.strip_prefix(upstream).and_then(|rest| rest.strip_prefix("__"));
        let tool = qualified(upstream, own.unwrap_or(name));
        let tool = tool.map_err(|_| invalid("the name of the tool that it calls is not valid"))?;
        let arguments = match at(arguments, &self.arguments) {
            None | Some(Value::Null) => Object::new(),
            Some(Value::Object(arguments)) => arguments.clone(),
            Some(_) => {
                return Err(invalid("the arguments of the tool that it calls are no object"));
            }
        };
        Ok(Inner { tool: tool.to_string(), arguments: Arguments::new(arguments) })
    }
}

/// The value at a JSON pointer.
fn at<'a>(arguments: &'a Object, pointer: &str) -> Option<&'a Value> {
    let (first, rest) = pointer.strip_prefix('/').map(|path| match path.split_once('/') {
        Some((first, _)) => (first, path.get(first.len()..).unwrap_or_default()),
        None => (path, ""),
    })?;
    arguments.get(&first.replace("~1", "/").replace("~0", "~"))?.pointer(rest)
}

fn invalid(why: &str) -> Denied {
    Denied {
        code: INVALID_CALL.to_owned(),
        reason: format!("the tool calls other tools, and {why}"),
        decision: None,
        retry_after: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn inner(arguments: &Value) -> Result<(String, Value), String> {
        let meta =
            MetaTool { name: "/call/tool".to_owned(), arguments: "/call/arguments".to_owned() };
        let arguments = arguments.as_object().cloned().unwrap();
        let found = meta.inner("hub", &arguments).map_err(|denied| denied.code)?;
        Ok((found.tool, Value::Object(found.arguments.into_value())))
    }

    #[test]
    fn policy_sees_the_tool_that_is_called() {
        let call = json!({"call": {"tool": "delete", "arguments": {"id": 1}}});
        assert_eq!(inner(&call), Ok(("hub__delete".to_owned(), json!({"id": 1}))));
        let call = json!({"call": {"tool": "hub__delete"}});
        assert_eq!(inner(&call), Ok(("hub__delete".to_owned(), json!({}))));
    }

    #[test]
    fn what_does_not_say_which_is_denied() {
        for call in [
            json!({}),
            json!({"call": "delete"}),
            json!({"call": {"tool": 1}}),
            json!({"call": {"tool": ""}}),
            json!({"call": {"tool": "delete", "arguments": "id=1"}}),
        ] {
            assert_eq!(inner(&call), Err(INVALID_CALL.to_owned()), "{call}");
        }
    }
}
