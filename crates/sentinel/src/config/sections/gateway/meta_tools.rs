//! Tools that call other tools: how the configuration says what they call.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use sentinel_core::name::{NameError, ToolName, split_qualified};
use sentinel_gateway::enforce::MetaTool;
use serde::{Deserialize, Serialize};

use crate::config::problems::Problem;

const FIX: &str = "write `{tool: hub__call_tool, name: /tool, arguments: /arguments}`: the tool's \
                   name in the registry, and where its arguments say what it calls";
/// Bytes of a pointer. Those of real tools have a handful.
const LONGEST: usize = 256;

/// A tool that calls other tools by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfiguredMetaTool {
    /// Its name in the registry: `upstream__tool`.
    pub(crate) tool: String,
    /// JSON pointer to the name of the tool that is called, within the arguments.
    pub(crate) name: String,
    /// JSON pointer to the arguments of the tool that is called, within the arguments.
    pub(crate) arguments: String,
}

/// The meta-tools by name.
///
/// # Errors
/// When an entry cannot be used: a meta-tool that is not unwrapped would be a way around policy.
pub(super) fn read(given: &[ConfiguredMetaTool]) -> Result<BTreeMap<String, MetaTool>, Problem> {
    let mut known = BTreeMap::new();
    for (entry, number) in given.iter().zip(1..) {
        let wrong = |why: String| {
            Problem::new(format!("entry {number} of `gateway_meta_tools`: {why}"), FIX)
        };
        let name = entry.registered().map_err(wrong)?;
        let ConfiguredMetaTool { name: of_name, arguments, .. } = entry;
        for (member, pointer) in [("name", of_name), ("arguments", arguments)] {
            check_pointer(pointer).map_err(|why| wrong(format!("`{member}` {why}")))?;
        }
        let meta_tool = MetaTool { name: of_name.clone(), arguments: arguments.clone() };
        if known.insert(name.clone(), meta_tool).is_some() {
            return Err(wrong(format!("`{name}` is listed twice")));
        }
    }
    Ok(known)
}

impl ConfiguredMetaTool {
    fn registered(&self) -> Result<String, String> {
        let name: ToolName = self.tool.parse().map_err(|error: NameError| error.to_string())?;
        match split_qualified(name.as_str()) {
            Some((upstream, tool)) if !upstream.is_empty() && !tool.is_empty() => {
                Ok(name.to_string())
            }
            _ => Err("`tool` is not the name of an upstream's tool".to_owned()),
        }
    }
}

/// A pointer to the whole of the arguments leads to no name, and none may end within an escape.
fn check_pointer(pointer: &str) -> Result<(), &'static str> {
    if !pointer.starts_with('/') {
        return Err("is not a JSON pointer: it must begin with `/`");
    }
    if pointer.len() > LONGEST || pointer.contains(char::is_control) {
        return Err("is too long, or contains control characters");
    }
    let escapes = pointer.split('~').skip(1);
    if escapes.into_iter().any(|rest| !rest.starts_with(['0', '1'])) {
        return Err("has a `~` that is not `~0` or `~1`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(tool: &str, name: &str, arguments: &str) -> Result<Vec<String>, String> {
        let (tool, name) = (tool.to_owned(), name.to_owned());
        let entry = ConfiguredMetaTool { tool, name, arguments: arguments.to_owned() };
        let read = read(&[entry]);
        read.map(|known| known.into_keys().collect()).map_err(|problem| problem.what)
    }

    #[test]
    fn a_meta_tool_says_where_the_real_one_is() {
        assert_eq!(found("hub__call", "/tool", "/a~1b/0"), Ok(vec!["hub__call".to_owned()]));
        for (tool, name, arguments, why) in [
            ("call", "/tool", "/arguments", "name of an upstream's tool"),
            ("__call", "/tool", "/arguments", "entry 1"),
            ("hub__call", "tool", "/arguments", "`name` is not a JSON pointer"),
            ("hub__call", "", "/arguments", "`name` is not a JSON pointer"),
            ("hub__call", "/tool", "/~2", "`arguments` has a `~`"),
            ("hub__call", "/tool", "/a\n", "control characters"),
        ] {
            let refused = found(tool, name, arguments).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
        let twice = ConfiguredMetaTool {
            tool: "hub__call".to_owned(),
            name: "/a".to_owned(),
            arguments: "/b".to_owned(),
        };
        let refused = read(&[twice.clone(), twice]).unwrap_err();
        assert!(refused.what.contains("entry 2") && refused.what.contains("twice"), "{refused:?}");
    }
}
