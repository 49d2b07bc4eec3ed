//! Event streams: what a subscriber hears, in the form of server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use sentinel_core::control::ControlState;
use sentinel_core::event::{Event, RegistryChange};
use sentinel_core::principal::Principal;
use sentinel_service::bus::{EventId, Published, Subscription};
use sentinel_service::event_line::EventLine;
use sentinel_service::kill::KillView;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, broadcast, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use utoipa::ToSchema;

use crate::app::Shared;
use crate::auth::is_revoked;
use crate::problem::Problem;
use crate::wire::KillAnswer;

/// Events that are written at one go.
const CHUNK: usize = 256;
/// Milliseconds after which a client that lost its stream is to come back.
const RETRY: u32 = 1000;
/// Patterns that one subscriber may give.
const MAX_PATTERNS: usize = 32;

/// Which events are wanted, by name.
#[derive(Debug, Clone)]
pub(crate) struct TypeFilter(Option<Vec<&'static str>>);

impl TypeFilter {
    /// Reads `kill_switch.*,policy.check.deny`. A pattern that no event has is refused: whoever
    /// misspells a kill must not wait for it in vain.
    pub(crate) fn parse(types: Option<&str>) -> Result<Self, Problem> {
        let Some(types) = types else { return Ok(Self(None)) };
        let patterns: Vec<_> = types.split(',').map(str::trim).collect();
        let mut names = Vec::new();
        if patterns.len() > MAX_PATTERNS {
            return Err(Problem::bad_request("invalid_query", "`types` has too many patterns"));
        }
        for pattern in patterns {
            let prefix = pattern.strip_suffix('*').filter(|prefix| prefix.ends_with('.'));
            let known = Event::NAMES.iter().filter(|name| match prefix {
                Some(prefix) => name.starts_with(prefix),
                None => **name == pattern,
            });
            let before = names.len();
            names.extend(known);
            if names.len() == before {
                let detail = format!(
                    "`types` has a pattern that fits no event; events are: {}",
                    Event::NAMES.join(", "),
                );
                return Err(Problem::bad_request("invalid_query", detail));
            }
        }
        Ok(Self(Some(names)))
    }

    fn admits(&self, event: &Event) -> bool {
        self.0.as_ref().is_none_or(|names| names.contains(&event.name()))
    }
}

/// The state of the kill switch, sent first and whenever events were missed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SyncEvent)]
pub(crate) struct Sync {
    /// Always `sync`.
    event: &'static str,
    /// The epoch that this is the state of. A kill event whose `metadata.epoch` is not greater is
    /// in it already.
    epoch: u64,
    /// Whether events were missed that are not sent again.
    gap: bool,
    /// Every kill in force that reaches what the caller may see.
    kills: Vec<KillAnswer>,
}

/// Whoever listens.
#[derive(Debug)]
pub(crate) struct Subscriber {
    app: Shared,
    principal: Principal,
    filter: TypeFilter,
    /// Given back when the stream ends.
    _slot: OwnedSemaphorePermit,
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.app.metrics.subscribers.dec();
    }
}

enum Next {
    Events(std::sync::Arc<[Published]>),
    Lagged,
    Heartbeat,
    Stopped,
}

impl Subscriber {
    pub(crate) fn new(
        app: Shared,
        principal: Principal,
        filter: TypeFilter,
        slot: OwnedSemaphorePermit,
    ) -> Self {
        app.metrics.subscribers.inc();
        Self { app, principal, filter, _slot: slot }
    }

    /// What the subscriber hears, until it goes away, its key is revoked, or the server stops; the
    /// last two are said by an event `closed`.
    pub(crate) fn stream(
        self,
        subscription: Subscription,
        state: &ControlState,
    ) -> impl Stream<Item = Result<Bytes, Infallible>> + use<> {
        let Subscription { missed, gap, mut live, position } = subscription;
        // Until what was missed is sent, the place in the stream is where the client left it.
        let at = missed.is_empty().then_some(position);
        let first = format!("retry: {RETRY}\n{}", self.sync(state, gap, at));
        async_stream::stream! {
            yield Ok(Bytes::from(first));
            for part in missed.chunks(CHUNK) {
                if let Some(frames) = self.frames(part) {
                    yield Ok(frames);
                }
            }
            drop(missed);
            let mut heartbeat = heartbeat(self.app.options.heartbeat);
            let mut shutdown = self.app.options.shutdown.clone();
            loop {
                match next(&mut live, &mut heartbeat, shutdown.as_mut()).await {
                    Next::Events(group) => {
                        if group.iter().any(|each| is_revocation(&each.event)) && self.is_revoked() {
                            yield Ok(closed("key_revoked"));
                            return;
                        }
                        for part in group.chunks(CHUNK) {
                            if let Some(frames) = self.frames(part) {
                                yield Ok(frames);
                            }
                        }
                    }
                    Next::Lagged => yield Ok(self.resync().await),
                    Next::Heartbeat => {
                        if self.is_revoked() {
                            yield Ok(closed("key_revoked"));
                            return;
                        }
                        yield Ok(Bytes::from_static(b": heartbeat\n\n"));
                    }
                    Next::Stopped => {
                        yield Ok(closed("shutting_down"));
                        return;
                    }
                }
            }
        }
    }

    /// The state after events were missed.
    async fn resync(&self) -> Bytes {
        let state = match self.app.services.control.refresh().await {
            Ok(state) => state,
            Err(error) => {
                tracing::warn!(%error, "a subscriber is told the state as last known");
                self.app.services.control.current()
            }
        };
        self.sync(&state, true, None).into()
    }

    fn sync(&self, state: &ControlState, gap: bool, at: Option<EventId>) -> String {
        let bound = self.principal.tenant();
        let reaches = |tenant| bound.is_none() || tenant == bound || Option::is_none(&tenant);
        let kills = state.kills().in_force().filter(|kill| reaches(kill.scope.tenant_id()));
        let sync = Sync {
            event: "sync",
            epoch: state.epoch().0,
            gap,
            kills: kills.map(|kill| KillView::of(state, kill.as_ref().clone()).into()).collect(),
        };
        frame(at, "sync", &sync)
    }

    /// Those of `events` that the subscriber may hear and wants to; `None` when there are none.
    fn frames(&self, events: &[Published]) -> Option<Bytes> {
        let bound = self.principal.tenant();
        let mut text = String::new();
        for Published { position, event, .. } in events {
            if bound.is_none_or(|tenant| event.concerns(tenant)) && self.filter.admits(event) {
                let id = self.app.services.events.id(*position);
                text.push_str(&frame(Some(id), event.name(), &EventLine::of(event)));
            }
        }
        (!text.is_empty()).then(|| text.into())
    }

    fn is_revoked(&self) -> bool {
        is_revoked(&self.app.services, &self.principal)
    }
}

fn heartbeat(period: Duration) -> Interval {
    let mut heartbeat = interval_at(Instant::now() + period, period);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat
}

async fn next(
    live: &mut broadcast::Receiver<std::sync::Arc<[Published]>>,
    heartbeat: &mut Interval,
    shutdown: Option<&mut watch::Receiver<bool>>,
) -> Next {
    let stopped = async {
        match shutdown {
            // The sender is gone when the server is, so an error says the same.
            Some(shutdown) => drop(shutdown.wait_for(|stop| *stop).await),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = stopped => Next::Stopped,
        _ = heartbeat.tick() => Next::Heartbeat,
        received = live.recv() => match received {
            Ok(group) => Next::Events(group),
            Err(broadcast::error::RecvError::Lagged(_)) => Next::Lagged,
            Err(broadcast::error::RecvError::Closed) => Next::Stopped,
        },
    }
}

fn is_revocation(event: &Event) -> bool {
    matches!(event, Event::Registry(change) if change.kind == RegistryChange::KeyRevoked)
}

fn closed(code: &'static str) -> Bytes {
    frame(None, "closed", &serde_json::json!({ "event": "closed", "code": code })).into()
}

/// One server-sent event. JSON has no line breaks, so one `data` line holds it.
fn frame(id: Option<EventId>, name: &str, data: &impl Serialize) -> String {
    // Writing what is built of strings and numbers to memory does not fail.
    let data = serde_json::to_string(data).unwrap_or_default();
    match id {
        Some(id) => format!("id: {id}\nevent: {name}\ndata: {data}\n\n"),
        None => format!("event: {name}\ndata: {data}\n\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(types: &str) -> Option<Vec<&'static str>> {
        TypeFilter::parse(Some(types)).ok().and_then(|filter| filter.0)
    }

    #[test]
    fn patterns_stand_for_names() {
        let kills = vec!["kill_switch.disabled", "kill_switch.restored"];
        assert_eq!(names("kill_switch.*"), Some(kills));
        assert_eq!(
            names("policy.check.deny, provenance.signed"),
            Some(vec!["policy.check.deny", "provenance.signed"])
        );
        assert_eq!(names("policy.*").map(|names| names.len()), Some(2));
        assert!(TypeFilter::parse(None).unwrap().0.is_none());
    }

    #[test]
    fn a_pattern_that_fits_nothing_is_refused() {
        for types in [
            "",
            "*",
            "kill_switch",
            "kill_switch.disable",
            "kill*",
            "policy.check.deny,",
            "KILL_SWITCH.*",
        ] {
            assert!(names(types).is_none(), "{types}");
        }
        assert!(names(&["registry.*"; MAX_PATTERNS + 1].join(",")).is_none());
    }
}
