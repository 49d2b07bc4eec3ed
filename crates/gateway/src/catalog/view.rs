//! What one client may see of the lists of one upstream.

use std::collections::HashSet;
use std::sync::Arc;

use futures::future::join_all;
use sentinel_core::name::split_qualified;
use tokio::time::Instant;

use super::cached::Patience;
use super::fetch::Kind;
use super::items::Items;
use super::shown::{Digest, Shown, digest_of};
use super::source::Source;
use super::tools::{Tool, Tools};
use crate::authority::{REGISTRY_UNAVAILABLE, Standing};
use crate::client::{Client, Verdict};

/// What a client may see of one list of one upstream.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) items: Vec<Seen>,
    /// Items that policy hides from this client.
    pub(crate) hidden: usize,
}

/// An item, and whether the client may see it.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) item: Arc<Shown>,
    pub(crate) visible: bool,
}

/// An upstream whose items are missing from a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absent {
    pub upstream: String,
    /// Stable: the code of the failure, or why the registry says nothing of the tools.
    pub code: &'static str,
}

impl View {
    /// Changes when what the client may see changes.
    pub(crate) fn digest(&self) -> Digest {
        digest_of(self.items.iter().filter(|seen| seen.visible).map(|seen| &seen.item.digest))
    }
}

/// The views of all upstreams of the client's route, side by side, in the order of the route.
pub(crate) async fn views(client: &Client, kind: Kind) -> Vec<Result<View, Absent>> {
    let sources = client.route.sources();
    let each = sources.iter().map(|source| async {
        let mut views = views_of(client, source, &[kind]).await;
        let none = Absent { upstream: source.name().to_owned(), code: REGISTRY_UNAVAILABLE };
        views.pop().map_or(Err(none), |(_, view)| view)
    });
    join_all(each).await
}

/// The views of some lists of one upstream. Registry and policy are asked once. It waits no longer
/// than the budget of a list for the upstream, and as long again for the registry.
pub(crate) async fn views_of(
    client: &Client,
    source: &Arc<Source>,
    kinds: &[Kind],
) -> Vec<(Kind, Result<View, Absent>)> {
    let budget = client.route.settings.list_budget;
    let absent = |code| Absent { upstream: source.name().to_owned(), code };
    let all = |code| kinds.iter().map(|kind| (*kind, Err(absent(code)))).collect();
    let limited = async {
        let patience = Patience::Fresh(budget);
        let others = kinds.iter().filter(|kind| **kind != Kind::Tools);
        let others = others.map(|kind| async { (*kind, source.items(*kind, patience).await) });
        let (tools, others) = futures::join!(source.tools(patience), join_all(others));
        // The doors stand in the registry even while the server cannot list its tools.
        let listed = tools.as_ref().map(Arc::clone).unwrap_or_default();
        let standings = match standings(client, source, &listed).await {
            Ok(standings) => standings,
            Err(code) => return all(code),
        };
        let mut views = Vec::new();
        if kinds.contains(&Kind::Tools) {
            let view = tools.map(|tools| view_tools(client, source, &tools, &standings));
            views.push((Kind::Tools, view.map_err(|failure| absent(failure.code))));
        }
        for (kind, items) in others {
            let view = items.map(|items| view_items(client, source, kind, &items, &standings));
            views.push((kind, view.map_err(|failure| absent(failure.code))));
        }
        views
    };
    match tokio::time::timeout(budget.saturating_mul(2), limited).await {
        Ok(views) => views,
        Err(_) => all(REGISTRY_UNAVAILABLE),
    }
}

fn view_tools(client: &Client, source: &Source, tools: &Tools, standings: &[Standing]) -> View {
    let route = &client.route;
    let mut hidden = 0;
    let mut items = Vec::with_capacity(tools.all().len());
    for (tool, standing) in tools.all().iter().zip(standings) {
        let callable = is_callable(tool, standing) && !shadows(client, source.name(), tool);
        let visible = callable && (standing.visible || route.settings.show_all);
        hidden += usize::from(callable && !visible);
        items.push(Seen { item: Arc::clone(tool.shown(route.prefixed)), visible });
    }
    View { items, hidden }
}

fn view_items(
    client: &Client,
    source: &Source,
    kind: Kind,
    items: &Items,
    standings: &[Standing],
) -> View {
    let visible = client.route.settings.show_all || is_door_open(source.name(), kind, standings);
    let prefixed = client.route.prefixed;
    let shown = items.all.iter().filter_map(|item| item.shown(kind, source.name(), prefixed));
    let items: Vec<_> = shown.map(|item| Seen { item, visible }).collect();
    let hidden = if visible { 0 } else { items.len() };
    View { items, hidden }
}

/// What registry and policy say of the tools and, after them, of the doors. It is asked again when
/// the tools or the state of the authority have changed, and from time to time.
async fn standings(
    client: &Client,
    source: &Source,
    tools: &Tools,
) -> Result<Arc<[Standing]>, &'static str> {
    let upstream = source.name();
    // Before asking: a change while it is asked leads to asking again.
    let state = *client.authority.changes().borrow();
    if let Some(known) = client.verdict(upstream)
        && (known.tools, known.state) == (tools.version(), state)
        && known.at.elapsed() < client.route.settings.client_ttl
    {
        return Ok(known.standings);
    }
    match client.authority.standing(upstream, tools.definitions()).await {
        // A tool of which nothing is said would be taken for the next one.
        Ok(standings) if standings.len() >= tools.all().len() => {
            source.presented_now(tools);
            let (tools, standings) = (tools.version(), Arc::<[_]>::from(standings));
            let known = Arc::clone(&standings);
            let verdict = Verdict { tools, state, at: Instant::now(), standings: known };
            client.remember(upstream, verdict);
            Ok(standings)
        }
        Ok(_) => Err(REGISTRY_UNAVAILABLE),
        Err(error) => {
            tracing::warn!(upstream, %error, "the standing of the tools could not be found out");
            Err(error.code)
        }
    }
}

fn is_callable(tool: &Tool, standing: &Standing) -> bool {
    standing.name == tool.registered.as_str() && standing.quarantined.is_none()
}

fn is_door_open(upstream: &str, kind: Kind, standings: &[Standing]) -> bool {
    let door = match kind {
        Kind::Tools => return false,
        Kind::Prompts => "prompts",
        Kind::Resources | Kind::Templates => "resources",
    };
    let is_door = |standing: &&Standing| {
        split_qualified(&standing.name).is_some_and(|(of, name)| of == upstream && name == door)
    };
    standings.iter().find(is_door).is_some_and(|door| door.visible && door.quarantined.is_none())
}

/// Whether the tool bears the prefix of another upstream: beside that one's tools it would pass for
/// one of them.
pub(crate) fn shadows(client: &Client, upstream: &str, tool: &Tool) -> bool {
    let Some((prefix, _)) = split_qualified(&tool.name) else { return false };
    if !client.route.prefixed {
        return false;
    }
    let sources = client.route.sources();
    let names: HashSet<_> = sources.iter().map(|source| source.name()).collect();
    let prefix = prefix.to_ascii_lowercase().replace(['_', '.', '/'], "-");
    prefix != upstream && names.contains(prefix.as_str())
}
