//! Every method of every revision, and what governs it. A method that is not in the table is
//! refused, whoever sends it.

use crate::era::{Era, Version};
use crate::jsonrpc::RpcError;

pub mod capabilities;
#[cfg(test)]
mod tests;

/// Who sends a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    Client,
    Server,
}

/// What governs a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Governance {
    /// Served by the gateway itself, no decision.
    Lifecycle(Lifecycle),
    /// Merged from the servers; each entry is shown only if policy lets it be seen.
    List(List),
    /// Decided, recorded and forwarded with a permit.
    Call(Call),
    /// A server asks the client: decided, then passed on.
    Ask(Ask),
    /// A notification: passed on along a request or a subscription that exists already.
    Notice(Notice),
    /// Never forwarded; says why.
    Refused(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifecycle {
    Initialize,
    Discover,
    Ping,
    SetLevel,
    /// Opens a stream of notifications. Its subscriptions to resources are decided one by one.
    Listen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    Tools,
    Prompts,
    Resources,
    Templates,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Tool,
    Prompt,
    Resource,
    Subscribe,
    /// Ends what a decision began, so it needs none.
    Unsubscribe,
    Complete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    Sampling,
    Elicitation,
    Roots,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    Initialized,
    Cancelled,
    Progress,
    Log,
    RootsChanged,
    ToolsChanged,
    PromptsChanged,
    ResourcesChanged,
    ResourceUpdated,
    Acknowledged,
    ElicitationComplete,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Method {
    pub name: &'static str,
    pub sender: Sender,
    pub governance: Governance,
    /// The first and the last version that have the method.
    since: Version,
    until: Version,
}

impl Method {
    /// Whether the version has the method.
    #[must_use]
    pub fn is_in(&self, version: Version) -> bool {
        (self.since..=self.until).contains(&version)
    }

    /// Whether any version of the era has it.
    #[must_use]
    pub fn is_of(&self, era: Era) -> bool {
        Version::ALL.into_iter().any(|version| version.era() == era && self.is_in(version))
    }
}

/// The row of a request or notification; `None` when there is none, or only one for the other side.
#[must_use]
pub fn find(sender: Sender, name: &str) -> Option<&'static Method> {
    // Notifications about a request go both ways.
    let both = |method: &Method| matches!(method.name, "notifications/cancelled" | "ping");
    TABLE.iter().find(|method| method.name == name && (method.sender == sender || both(method)))
}

/// What governs a request.
///
/// # Errors
/// `-32601` with the reason: it is not in the table, it belongs to an extension that is not
/// governed, or it is not a request.
pub fn governance(sender: Sender, name: &str) -> Result<Governance, RpcError> {
    let refused = |reason| Err(RpcError::method_not_found(name, reason));
    match find(sender, name).map(|method| method.governance) {
        Some(Governance::Refused(reason)) => refused(reason),
        Some(Governance::Notice(_)) => refused("it is a notification, which has no id"),
        Some(governance) => Ok(governance),
        None => refused(extension(name).unwrap_or("the gateway does not know it")),
    }
}

/// What a notification is about; `None` when it is to be dropped.
#[must_use]
pub fn notice(sender: Sender, name: &str) -> Option<Notice> {
    match find(sender, name)?.governance {
        Governance::Notice(notice) => Some(notice),
        _ => None,
    }
}

/// Why the methods of an extension are refused, for those that are not in the table by name.
fn extension(name: &str) -> Option<&'static str> {
    const PREFIXES: [(&str, &str); 5] = [
        ("tasks/", NO_TASKS),
        ("notifications/tasks", NO_TASKS),
        ("events/", "the extension for events is not governed yet"),
        ("skills/", "the extension for skills is not governed yet"),
        ("ui/", "the extension for apps is not governed yet"),
    ];
    PREFIXES.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, reason)| *reason)
}

const NO_TASKS: &str = "tasks are not governed yet";
const NO_DIRECTORIES: &str = "the extension for skills is not governed yet";

const FIRST: Version = Version::V2024_11_05;
const LAST_LEGACY: Version = Version::NEWEST_LEGACY;
const MODERN: Version = Version::V2026_07_28;

const fn row(
    name: &'static str,
    sender: Sender,
    governance: Governance,
    (since, until): (Version, Version),
) -> Method {
    Method { name, sender, governance, since, until }
}

const ALWAYS: (Version, Version) = (FIRST, MODERN);
const LEGACY: (Version, Version) = (FIRST, LAST_LEGACY);
const ELICITATION: (Version, Version) = (Version::V2025_06_18, MODERN);
const TASKS: (Version, Version) = (Version::V2025_11_25, MODERN);
const ONLY_MODERN: (Version, Version) = (MODERN, MODERN);

use Sender::{Client, Server};

const TABLE: &[Method] = &[
    row("initialize", Client, Governance::Lifecycle(Lifecycle::Initialize), LEGACY),
    row("server/discover", Client, Governance::Lifecycle(Lifecycle::Discover), ONLY_MODERN),
    row("ping", Client, Governance::Lifecycle(Lifecycle::Ping), LEGACY),
    row("logging/setLevel", Client, Governance::Lifecycle(Lifecycle::SetLevel), LEGACY),
    row("subscriptions/listen", Client, Governance::Lifecycle(Lifecycle::Listen), ONLY_MODERN),
    row("tools/list", Client, Governance::List(List::Tools), ALWAYS),
    row("prompts/list", Client, Governance::List(List::Prompts), ALWAYS),
    row("resources/list", Client, Governance::List(List::Resources), ALWAYS),
    row("resources/templates/list", Client, Governance::List(List::Templates), ALWAYS),
    row("tools/call", Client, Governance::Call(Call::Tool), ALWAYS),
    row("prompts/get", Client, Governance::Call(Call::Prompt), ALWAYS),
    row("resources/read", Client, Governance::Call(Call::Resource), ALWAYS),
    row("resources/subscribe", Client, Governance::Call(Call::Subscribe), LEGACY),
    row("resources/unsubscribe", Client, Governance::Call(Call::Unsubscribe), LEGACY),
    row("completion/complete", Client, Governance::Call(Call::Complete), ALWAYS),
    row("sampling/createMessage", Server, Governance::Ask(Ask::Sampling), ALWAYS),
    row("elicitation/create", Server, Governance::Ask(Ask::Elicitation), ELICITATION),
    row("roots/list", Server, Governance::Ask(Ask::Roots), ALWAYS),
    row("tasks/get", Client, Governance::Refused(NO_TASKS), TASKS),
    row("tasks/update", Client, Governance::Refused(NO_TASKS), TASKS),
    row("tasks/result", Client, Governance::Refused(NO_TASKS), TASKS),
    row("tasks/cancel", Client, Governance::Refused(NO_TASKS), TASKS),
    row("tasks/list", Client, Governance::Refused(NO_TASKS), TASKS),
    row("resources/directory/read", Client, Governance::Refused(NO_DIRECTORIES), ONLY_MODERN),
    row("notifications/initialized", Client, Governance::Notice(Notice::Initialized), LEGACY),
    row("notifications/cancelled", Client, Governance::Notice(Notice::Cancelled), ALWAYS),
    row(
        "notifications/roots/list_changed",
        Client,
        Governance::Notice(Notice::RootsChanged),
        LEGACY,
    ),
    row("notifications/progress", Server, Governance::Notice(Notice::Progress), ALWAYS),
    row("notifications/message", Server, Governance::Notice(Notice::Log), ALWAYS),
    row(
        "notifications/tools/list_changed",
        Server,
        Governance::Notice(Notice::ToolsChanged),
        ALWAYS,
    ),
    row(
        "notifications/prompts/list_changed",
        Server,
        Governance::Notice(Notice::PromptsChanged),
        ALWAYS,
    ),
    row(
        "notifications/resources/list_changed",
        Server,
        Governance::Notice(Notice::ResourcesChanged),
        ALWAYS,
    ),
    row(
        "notifications/resources/updated",
        Server,
        Governance::Notice(Notice::ResourceUpdated),
        ALWAYS,
    ),
    row(
        "notifications/subscriptions/acknowledged",
        Server,
        Governance::Notice(Notice::Acknowledged),
        ONLY_MODERN,
    ),
    row(
        "notifications/elicitation/complete",
        Server,
        Governance::Notice(Notice::ElicitationComplete),
        TASKS,
    ),
];
