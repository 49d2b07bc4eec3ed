//! The tools of one upstream: read from what the server lists, repaired, under distinct names.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use sentinel_core::name::{ToolName, folded, qualified, unqualified};
use sentinel_service::upstreams::ToolDefect;
use serde_json::Value;

use super::repair::repair;
use super::shown::{Digest, Shown, digest_of};
use sentinel_mcp_protocol::jsonrpc::Object;

/// Names of the doors in the registry, through which resources, prompts and the like are governed.
/// No tool may have one of them.
pub(crate) const DOORS: [&str; 5] =
    ["resources", "prompts", "completion", "sampling", "elicitation"];

/// The most defects that are kept, and the longest name that is kept of a tool.
const MOST_DEFECTS: usize = 100;
const LONGEST_NAME: usize = 128;

/// One sound tool.
#[derive(Debug)]
pub struct Tool {
    /// As the server knows it.
    pub name: String,
    /// As registry and policy know it.
    pub registered: ToolName,
    /// What a client sees where only this upstream is shown.
    plain: Arc<Shown>,
    /// What a client sees beside other upstreams; made when it is first needed.
    prefixed: OnceLock<Arc<Shown>>,
    /// The definition with the name that the server gave it.
    own: Arc<Object>,
}

/// What is wrong with a tool: why it is never shown, or what was repaired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defect {
    /// As the server calls it, shortened, without what could break a line.
    pub name: String,
    /// Stable: `tool_malformed`, `tool_too_large`, `tool_name_invalid`, `tool_name_collision`,
    /// `tool_schema_broken`; `tool_repaired` of one that is shown.
    pub reason: &'static str,
    /// What is wrong, for operators.
    pub detail: String,
}

/// The tools of one upstream.
#[derive(Debug, Default)]
pub struct Tools {
    tools: Vec<Arc<Tool>>,
    /// The definitions, in the order of `tools`, as they are registered.
    definitions: Vec<Arc<Object>>,
    by_registered: HashMap<ToolName, usize>,
    by_plain: HashMap<String, usize>,
    defects: Vec<Defect>,
    repairs: Vec<Defect>,
    /// Names, as clients would see them, of tools that are not shown.
    refused: HashMap<String, &'static str>,
    version: Digest,
}

impl Tool {
    fn new(name: String, registered: ToolName, plain: String, own: Object) -> Self {
        let own = Arc::new(own);
        let shown = if plain == name {
            // One copy serves as both.
            Shown::sharing(plain, &own)
        } else {
            Shown::renamed(plain, &own)
        };
        Self { name, registered, plain: Arc::new(shown), prefixed: OnceLock::new(), own }
    }

    /// What a client sees of it.
    #[must_use]
    pub fn shown(&self, prefixed: bool) -> &Arc<Shown> {
        if !prefixed {
            return &self.plain;
        }
        self.prefixed
            .get_or_init(|| Arc::new(Shown::renamed(self.registered.to_string(), &self.own)))
    }

    /// The definition with the name that the server gave it.
    #[must_use]
    pub const fn own(&self) -> &Arc<Object> {
        &self.own
    }
}

impl Tools {
    /// Reads what `upstream` lists. What is broken is repaired where that is certain to be right;
    /// otherwise it becomes a [`Defect`].
    #[must_use]
    pub fn read(upstream: &str, listed: Vec<Value>) -> Self {
        let mut reading = Reading::new(upstream, &listed);
        for definition in listed {
            reading.add(definition);
        }
        let mut tools = reading.tools;
        tools.version = digest_of(tools.tools.iter().map(|tool| &tool.plain.digest));
        tools
    }

    #[must_use]
    pub fn all(&self) -> &[Arc<Tool>] {
        &self.tools
    }

    #[must_use]
    pub fn definitions(&self) -> &[Arc<Object>] {
        &self.definitions
    }

    #[must_use]
    pub fn defects(&self) -> &[Defect] {
        &self.defects
    }

    /// Tools that are shown, though not as the server lists them.
    #[must_use]
    pub fn repairs(&self) -> &[Defect] {
        &self.repairs
    }

    /// Changes when any definition changes.
    #[must_use]
    pub(crate) fn version(&self) -> Digest {
        self.version
    }

    /// The tool that a client knows by `name`.
    #[must_use]
    pub fn find(&self, name: &str, prefixed: bool) -> Option<&Arc<Tool>> {
        let position =
            if prefixed { self.by_registered.get(name) } else { self.by_plain.get(name) }?;
        self.tools.get(*position)
    }

    /// Why a tool is not shown, by its name in the registry or as the server knows it.
    #[must_use]
    pub fn refused(&self, name: &str) -> Option<&'static str> {
        self.refused.get(name).copied()
    }

    fn push(&mut self, tool: Tool) {
        let position = self.tools.len();
        self.by_registered.insert(tool.registered.clone(), position);
        self.by_plain.insert(tool.plain.name.clone(), position);
        self.definitions.push(Arc::clone(&tool.own));
        self.tools.push(Arc::new(tool));
    }

    fn refuse(&mut self, name: &str, upstream: &str, reason: &'static str, detail: String) {
        if let Ok(registered) = qualified(upstream, name) {
            self.refused.entry(registered.to_string()).or_insert(reason);
        }
        add(&mut self.defects, name, reason, detail);
    }
}

fn add(defects: &mut Vec<Defect>, name: &str, reason: &'static str, detail: String) {
    if defects.len() < MOST_DEFECTS {
        let name = name.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
        defects.push(Defect { name, reason, detail });
    }
}

/// What has been read so far of a listing.
struct Reading<'a> {
    upstream: &'a str,
    /// Names that the server gave to several tools: which of them a call reaches is unknown.
    ambiguous: HashSet<String>,
    /// What clients and people may take the names so far for.
    taken: HashSet<String>,
    tools: Tools,
}

impl<'a> Reading<'a> {
    fn new(upstream: &'a str, listed: &[Value]) -> Self {
        let mut seen = HashSet::new();
        let names = listed.iter().filter_map(|tool| tool.get("name")?.as_str());
        let ambiguous = names.filter(|name| !seen.insert(*name)).map(ToOwned::to_owned).collect();
        let doors = DOORS.iter().filter_map(|door| qualified(upstream, door).ok());
        let taken = doors.flat_map(|door| likenesses(&door)).collect();
        Self { upstream, ambiguous, taken, tools: Tools::default() }
    }

    fn add(&mut self, definition: Value) {
        let Value::Object(mut definition) = definition else {
            return self.refuse("", "tool_malformed", "it is not an object");
        };
        let Some(Value::String(name)) = definition.get("name").cloned() else {
            return self.refuse("", "tool_malformed", "it has no name");
        };
        if self.ambiguous.contains(&name) {
            return self.refuse(&name, "tool_name_collision", "the server lists the name twice");
        }
        let (registered, plain) = match (qualified(self.upstream, &name), unqualified(&name)) {
            (Ok(registered), Ok(plain)) => (registered, plain),
            (Err(error), _) | (_, Err(error)) => {
                return self.refuse(&name, "tool_name_invalid", &error.to_string());
            }
        };
        let repairs = match repair(&mut definition) {
            Ok(repairs) => repairs,
            Err(broken) => return self.refuse(&name, broken.reason, &broken.detail),
        };
        let likenesses = likenesses(&registered);
        if likenesses.iter().any(|likeness| self.taken.contains(likeness)) {
            let detail = "another name of the server can be taken for it";
            return self.refuse(&name, "tool_name_collision", detail);
        }
        self.taken.extend(likenesses);
        if !repairs.is_empty() {
            add(&mut self.tools.repairs, &name, ToolDefect::REPAIRED, repairs.join("; "));
        }
        self.tools.push(Tool::new(name, registered, plain, definition));
    }

    fn refuse(&mut self, name: &str, reason: &'static str, detail: &str) {
        self.tools.refuse(name, self.upstream, reason, detail.to_owned());
    }
}

/// What a name may be taken for, by people and by clients.
fn likenesses(name: &ToolName) -> [String; 2] {
    [format!("seen as {}", name.skeleton()), format!("folded to {}", folded(name.as_str()))]
}
