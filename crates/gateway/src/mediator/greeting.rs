//! What the gateway says of itself when a client connects: the capabilities of all upstreams
//! together, as far as they are governed, and instructions.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::catalog::{Source, Survey, survey};
use crate::client::Client;
use crate::upstream::Server;
use sentinel_mcp_protocol::jsonrpc::Object;
use sentinel_mcp_protocol::method::capabilities;

/// How long a client waits for the upstreams when it connects. Some give up after 5 seconds.
const BUDGET: Duration = Duration::from_secs(3);
/// A server that has been connected says at once what it can do.
const AT_ONCE: Duration = Duration::from_millis(100);
/// Characters of the instructions of one upstream.
const LONGEST: usize = 4_000;

/// `capabilities`, `serverInfo` and `instructions`. The front adds what its era needs.
pub(super) async fn greet(client: &Client) -> Object {
    let survey = tokio::time::timeout(BUDGET, survey(client)).await.ok();
    let sources = client.route.sources();
    let servers = join_all(sources.iter().map(server)).await;
    let known: Vec<_> = sources.iter().zip(&servers).collect();
    let mut greeting = Object::new();
    greeting.insert("capabilities".to_owned(), Value::Object(union(&servers)));
    greeting.insert("serverInfo".to_owned(), server_info());
    if let Some(Survey { shown: 0, hidden: hidden @ 1.., .. }) = &survey {
        let principal = client.authority.principal();
        tracing::warn!(principal, hidden, "policy hides every tool from a client that connects");
    }
    let instructions = instructions(client, &known, survey.as_ref());
    greeting.insert("instructions".to_owned(), instructions.into());
    greeting
}

async fn server(source: &Arc<Source>) -> Option<Arc<Server>> {
    tokio::time::timeout(AT_ONCE, source.upstream().server()).await.ok()?.ok()
}

fn server_info() -> Value {
    json!({"name": "sentinel-mcp", "title": "Sentinel MCP", "version": env!("CARGO_PKG_VERSION")})
}

/// The governed capabilities of all servers. One that is not connected yet may have any of them.
fn union(servers: &[Option<Arc<Server>>]) -> Object {
    let mut all = Object::new();
    for server in servers {
        let governed = match server {
            Some(server) => capabilities::of_server(&server.capabilities).capabilities,
            None => any(),
        };
        for (name, settings) in governed {
            add(&mut all, name, settings);
        }
    }
    // What a client may see can change, whether or not the servers announce changes of theirs.
    all.entry("tools").or_insert_with(|| json!({}));
    for list in ["tools", "prompts", "resources"] {
        if let Some(Value::Object(settings)) = all.get_mut(list) {
            settings.insert("listChanged".to_owned(), true.into());
        }
    }
    all
}

fn add(all: &mut Object, name: String, settings: Value) {
    match (all.get_mut(&name), settings) {
        (Some(Value::Object(known)), Value::Object(settings)) => {
            // A setting holds when any server has it.
            known.extend(settings.into_iter().filter(|(_, value)| *value != Value::Bool(false)));
        }
        (_, settings) => {
            all.insert(name, settings);
        }
    }
}

fn any() -> Object {
    let every = json!({
        "completions": {},
        "logging": {},
        "prompts": {},
        "resources": {"subscribe": true},
        "tools": {},
    });
    match every {
        Value::Object(every) => every,
        _ => Object::new(),
    }
}

type Known<'a> = (&'a Arc<Source>, &'a Option<Arc<Server>>);

fn instructions(client: &Client, known: &[Known<'_>], survey: Option<&Survey>) -> String {
    let mut parts = vec![GOVERNED.to_owned()];
    parts.extend(survey.and_then(hides_everything));
    parts.extend(missing(known, survey));
    for (source, server) in known {
        let text = server.as_ref().and_then(|server| server.instructions.as_deref());
        let text = text.map(readable).unwrap_or_default();
        if !text.is_empty() {
            let of = source.name();
            parts.push(if client.route.prefixed { format!("{of}__*: {text}") } else { text });
        }
    }
    parts.join("\n\n")
}

const GOVERNED: &str = "Calls to these tools are governed by policy. A call that is denied returns \
    an error result with the reason; repeating it does not help.";

/// An agent must be able to say why it has no tools.
fn hides_everything(survey: &Survey) -> Option<String> {
    let Survey { shown: 0, hidden: hidden @ 1.., .. } = survey else { return None };
    Some(format!(
        "No tools are listed: policy hides all {hidden} of them from this agent. An operator can \
         allow some with a policy that allows the action `list` for them."
    ))
}

fn missing(known: &[Known<'_>], survey: Option<&Survey>) -> Option<String> {
    let absent = |name: &str| {
        survey.is_some_and(|survey| survey.absent.iter().any(|absent| absent.upstream == name))
    };
    let unknown = known.iter().filter(|(source, server)| server.is_none() || absent(source.name()));
    let names: Vec<_> = unknown.map(|(source, _)| format!("`{}`", source.name())).collect();
    (!names.is_empty()).then(|| {
        format!("Not available yet: {}. Their tools are listed once they are.", names.join(", "))
    })
}

/// Foreign text, bounded, on lines that end where they seem to.
fn readable(text: &str) -> String {
    let shown = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t'));
    shown.take(LONGEST).collect::<String>().trim().to_owned()
}
