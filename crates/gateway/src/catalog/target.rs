//! From a name that a client uses back to the upstream and what it calls the thing.

use std::sync::Arc;

use sentinel_core::name::{qualified, split_qualified};

use super::cached::Patience;
use super::fetch::Kind;
use super::items::is_user_interface;
use super::source::Source;
use super::uris::inward;
use super::view::shadows;
use crate::client::Client;
use crate::upstream::Upstream;
use sentinel_mcp_protocol::jsonrpc::Object;

/// What a client refers to.
#[derive(Debug, Clone)]
pub struct Target {
    /// `None` when the name leads to no upstream of the route.
    pub upstream: Option<Arc<dyn Upstream>>,
    /// The name that registry and policy know: of the tool, or of the door of the upstream.
    pub registered: String,
    /// As the server knows it: the name of a tool or prompt, or the URI of a resource.
    pub name: String,
    /// What the server lists, with its own name. `None` means that it lists no such thing; such a
    /// tool is decided, so that the attempt is recorded, but never called.
    pub definition: Option<Arc<Object>>,
    /// Why it is not to be used, although policy may allow it.
    pub quarantined: Option<&'static str>,
}

impl Target {
    fn unknown(registered: String, name: String) -> Self {
        Self { upstream: None, registered, name, definition: None, quarantined: None }
    }

    fn on(source: &Source, registered: String, name: String) -> Self {
        let upstream = Some(Arc::clone(source.upstream()));
        Self { upstream, ..Self::unknown(registered, name) }
    }

    fn because(self, reason: &'static str) -> Self {
        Self { quarantined: Some(reason), ..self }
    }
}

/// The tool that a client knows by `name`. When the list of its upstream is new, registry and pins
/// have seen it before this returns.
pub async fn find_tool(client: &Client, name: &str) -> Target {
    let Some((source, registered)) = owner(client, name) else {
        return Target::unknown(name.to_owned(), name.to_owned());
    };
    let unlisted = Target::on(&source, registered.clone(), name.to_owned());
    let patience = Patience::Stale(client.route.settings.call_budget);
    let tools = match source.tools(patience).await {
        Ok(tools) => tools,
        Err(failure) => return unlisted.because(failure.code),
    };
    let Some(tool) = tools.find(name, client.route.prefixed) else {
        return match tools.refused(&registered) {
            Some(reason) => unlisted.because(reason),
            None => unlisted,
        };
    };
    let target = Target {
        name: tool.name.clone(),
        registered: tool.registered.to_string(),
        definition: Some(Arc::clone(tool.own())),
        ..unlisted
    };
    if shadows(client, source.name(), tool) {
        return target.because("tool_name_shadowing");
    }
    match source.present(&*client.authority, &tools).await {
        Ok(()) => target,
        Err(error) => {
            let upstream = source.name();
            tracing::warn!(upstream, %error, "the tools could not be presented to the registry");
            target.because(error.code)
        }
    }
}

/// The prompt that a client knows by `name`.
pub async fn find_prompt(client: &Client, name: &str) -> Target {
    let Some((source, _)) = owner(client, name) else {
        return Target::unknown(name.to_owned(), name.to_owned());
    };
    let target = Target::on(&source, door(&source, "prompts"), name.to_owned());
    let patience = Patience::Stale(client.route.settings.call_budget);
    let prompts = match source.items(Kind::Prompts, patience).await {
        Ok(prompts) => prompts,
        Err(failure) => return target.because(failure.code),
    };
    let found = if client.route.prefixed {
        prompts.find_prefixed(source.name(), name)
    } else {
        prompts.find_plain(name)
    };
    let shown = found.and_then(|prompt| {
        Some((prompt.key.clone(), prompt.shown(Kind::Prompts, source.name(), false)?))
    });
    match shown {
        Some((name, shown)) => {
            Target { name, definition: Some(Arc::clone(&shown.definition)), ..target }
        }
        None => target,
    }
}

/// The resource, or the template, that a client knows by `uri`. It need not be listed: templates
/// lead to any number of resources.
#[must_use]
pub fn find_resource(client: &Client, uri: &str) -> Target {
    let (source, inner) = if client.route.prefixed {
        match inward(uri) {
            Some((upstream, inner)) => (client.route.source(&upstream), inner),
            None => (None, uri),
        }
    } else {
        (client.route.sources().first().cloned(), uri)
    };
    let Some(source) = source else {
        return Target::unknown(uri.to_owned(), uri.to_owned());
    };
    let target = Target::on(&source, door(&source, "resources"), inner.to_owned());
    if is_user_interface(inner) { target.because("extension_not_governed") } else { target }
}

/// The upstream that a name belongs to, and the name in the registry.
fn owner(client: &Client, name: &str) -> Option<(Arc<Source>, String)> {
    if client.route.prefixed {
        let (upstream, _) = split_qualified(name)?;
        return Some((client.route.source(upstream)?, name.to_owned()));
    }
    let source = client.route.sources().first().cloned()?;
    let registered = match qualified(source.name(), name) {
        Ok(registered) => registered.to_string(),
        // The registry refuses such a name too.
        Err(_) => name.to_owned(),
    };
    Some((source, registered))
}

fn door(source: &Source, door: &str) -> String {
    qualified(source.name(), door).map_or_else(|_| door.to_owned(), |name| name.to_string())
}
