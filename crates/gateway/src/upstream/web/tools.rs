//! Which arguments of which tools are repeated in headers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use sentinel_mcp_protocol::era::ParamHeaders;
use sentinel_mcp_protocol::jsonrpc::Object;

/// Tools with such arguments, of one server.
const MAX_TOOLS: usize = 10_000;

/// Known from the lists of the server, and kept when it is connected again.
#[derive(Debug, Default)]
pub(in crate::upstream) struct ToolHeaders(Mutex<HashMap<String, Arc<ParamHeaders>>>);

impl ToolHeaders {
    pub(super) fn of(&self, tool: &str) -> Option<Arc<ParamHeaders>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(tool).cloned()
    }

    /// Reads the result of `tools/list`.
    pub(super) fn learn(&self, result: &Object) {
        let tools = result.get("tools").and_then(Value::as_array);
        for tool in tools.into_iter().flatten() {
            let name = tool.get("name").and_then(Value::as_str);
            let schema = tool.get("inputSchema").and_then(Value::as_object);
            let (Some(name), Some(schema)) = (name, schema) else { continue };
            let headers = ParamHeaders::of_schema(schema).ok().filter(|found| !found.is_empty());
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match headers {
                Some(headers) if known.len() < MAX_TOOLS || known.contains_key(name) => {
                    known.insert(name.to_owned(), Arc::new(headers));
                }
                _ => {
                    known.remove(name);
                }
            }
        }
    }
}
