//! Event streams: what a subscriber hears. The forms are server-sent events and WebSocket.

use std::time::Duration;

use futures::Stream;
use http::HeaderMap;
use sentinel_api::{ClosedEvent, EventLine, SyncEvent};
use sentinel_core::control::ControlState;
use sentinel_core::event::{Event, RegistryChange};
use sentinel_core::principal::{Principal, Role};
use sentinel_ingress::auth::Caller;
use sentinel_ingress::limits::Place;
use sentinel_ingress::problem::Problem;
use sentinel_service::ServiceError;
use sentinel_service::bus::{EventId, Listening, Published};
use sentinel_service::kill::KillView;
use sentinel_service::subscription::{self, Events, Subscription};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use utoipa::IntoParams;
use uuid::Uuid;

use crate::app::Shared;
use crate::wire;

mod filter;
pub(crate) mod sse;
pub(crate) mod websocket;

use filter::TypeFilter;

/// What a subscriber asks for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Events wanted, such as `kill_switch.*,policy.check.deny`; all when left out.
    types: Option<String>,
    /// `id` of the last event received, for clients that cannot send the header `Last-Event-ID`,
    /// which counts when both are there.
    last_event_id: Option<String>,
}

/// What a subscriber hears.
#[derive(Debug)]
pub(crate) enum Heard {
    Messages(Vec<Message>),
    /// Nothing happened for a while.
    Heartbeat,
    /// Nothing follows.
    Closed(Closing),
}

/// One event as it is written.
#[derive(Debug)]
pub(crate) struct Message {
    /// Resumes the stream after this event.
    id: Option<EventId>,
    name: &'static str,
    /// JSON.
    data: String,
}

impl Message {
    fn new(id: Option<EventId>, name: &'static str, data: &impl Serialize) -> Self {
        // Writing what is built of strings and numbers to memory does not fail.
        Self { id, name, data: serde_json::to_string(data).unwrap_or_default() }
    }
}

/// Why a stream ends that the client did not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    KeyRevoked,
    ShuttingDown,
}

impl Closing {
    const fn as_str(self) -> &'static str {
        match self {
            Self::KeyRevoked => "key_revoked",
            Self::ShuttingDown => "shutting_down",
        }
    }

    fn message(self) -> Message {
        let data = ClosedEvent { event: "closed".into(), code: self.as_str().into() };
        Message::new(None, "closed", &data)
    }
}

/// Subscribes `caller`: the one way to every form of the stream.
///
/// # Errors
/// When the role may not listen, the query cannot be read, too many listen, or the store is away.
pub(crate) async fn open(
    app: Shared,
    caller: Caller,
    wanted: &Wanted,
    headers: &HeaderMap,
) -> Result<impl Stream<Item = Heard> + Send + use<>, Problem> {
    require_listener(&caller)?;
    let filter = TypeFilter::parse(wanted.types.as_deref())?;
    let place = app.door.open_stream(caller.principal())?;
    // Subscribe first, then read the state: a kill in between is in both, never in neither.
    let subscription = app.services.events.subscribe(last(headers, wanted));
    let state = app.services.control.refresh().await.map_err(ServiceError::from)?;
    let subscriber = Subscriber::new(app, caller.into_principal(), filter, place);
    Ok(subscriber.stream(subscription, &state))
}

/// Refuses a caller whose role may not listen.
pub(crate) fn require_listener(caller: &Caller) -> Result<(), Problem> {
    caller.require(&[Role::Agent, Role::Operator, Role::Auditor])
}

/// Where the client was. An identifier that cannot be read is one of a process long gone: what
/// followed it is missed.
fn last(headers: &HeaderMap, wanted: &Wanted) -> Option<EventId> {
    let header = headers.get("last-event-id").map(|value| value.to_str().unwrap_or("unreadable"));
    let text = header.or(wanted.last_event_id.as_deref()).filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or(EventId { run: Uuid::nil(), position: 0 }))
}

/// A caller that listens.
#[derive(Debug)]
struct Subscriber {
    app: Shared,
    principal: Principal,
    filter: TypeFilter,
    /// Given back when the stream ends.
    _place: Place,
    /// Counts the stream among those that hear of kills, if it does.
    _listening: Option<Listening>,
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.app.metrics.subscribers.dec();
    }
}

enum Next {
    Events(Events),
    Lagged,
    Heartbeat,
    Stopped,
}

impl Subscriber {
    fn new(app: Shared, principal: Principal, filter: TypeFilter, place: Place) -> Self {
        app.metrics.subscribers.inc();
        let events = &app.services.events;
        let listening = filter.admits_kills().then(|| events.listening(principal.tenant()));
        Self { app, principal, filter, _place: place, _listening: listening }
    }

    /// What the subscriber hears, until it goes away, its key is revoked, or the server stops.
    fn stream(
        self,
        subscription: Subscription,
        state: &ControlState,
    ) -> impl Stream<Item = Heard> + Send + use<> {
        let mut events = subscription;
        // Until what was missed is sent, the place in the stream is where the client left it.
        let at = (!events.has_missed()).then_some(events.position);
        let first = self.sync(state, events.gap, at);
        async_stream::stream! {
            yield Heard::Messages(vec![first]);
            let mut heartbeat = heartbeat(self.app.options.heartbeat);
            let mut shutdown = self.app.door.shutdown();
            loop {
                match next(&mut events, &mut heartbeat, shutdown.as_mut()).await {
                    Next::Events(group) => {
                        if group.iter().any(|each| is_revocation(&each.event)) && self.is_revoked() {
                            yield Heard::Closed(Closing::KeyRevoked);
                            return;
                        }
                        let heard = self.heard(&group);
                        // While the client reads, it holds nothing but its own copy.
                        drop(group);
                        if let Some(heard) = heard {
                            yield heard;
                        }
                    }
                    // What says that the key was revoked may be among what was missed.
                    Next::Lagged if self.is_revoked() => {
                        yield Heard::Closed(Closing::KeyRevoked);
                        return;
                    }
                    Next::Lagged => yield Heard::Messages(vec![self.resync().await]),
                    Next::Heartbeat => {
                        if self.is_revoked() {
                            yield Heard::Closed(Closing::KeyRevoked);
                            return;
                        }
                        yield Heard::Heartbeat;
                    }
                    Next::Stopped => {
                        yield Heard::Closed(Closing::ShuttingDown);
                        return;
                    }
                }
            }
        }
    }

    /// The state after events were missed.
    async fn resync(&self) -> Message {
        let state = match self.app.services.control.refresh().await {
            Ok(state) => state,
            Err(error) => {
                tracing::warn!(%error, "a subscriber is sent the state as last known");
                self.app.services.control.current()
            }
        };
        self.sync(&state, true, None)
    }

    fn sync(&self, state: &ControlState, gap: bool, at: Option<EventId>) -> Message {
        let bound = self.principal.tenant();
        let reaches = |tenant| bound.is_none() || tenant == bound || Option::is_none(&tenant);
        let kills = state.kills().in_force().filter(|kill| reaches(kill.scope.tenant_id()));
        let sync = SyncEvent {
            event: "sync".into(),
            epoch: state.epoch().0,
            gap,
            kills: kills
                .map(|kill| wire::kill(KillView::of(state, kill.as_ref().clone())))
                .collect(),
        };
        Message::new(at, "sync", &sync)
    }

    /// Those of `events` that the subscriber may hear and wants to; `None` when there are none.
    fn heard(&self, events: &[Published]) -> Option<Heard> {
        let bound = self.principal.tenant();
        let may = |event: &Event| bound.is_none_or(|tenant| event.concerns(tenant));
        let told = events.iter().filter(|each| may(&each.event) && self.filter.admits(&each.event));
        let messages: Vec<_> = told
            .map(|Published { position, event, .. }| {
                let id = self.app.services.events.id(*position);
                Message::new(Some(id), event.name(), &EventLine::of(event))
            })
            .collect();
        (!messages.is_empty()).then_some(Heard::Messages(messages))
    }

    fn is_revoked(&self) -> bool {
        !self.app.services.control.current().vouches_for(self.principal.credential())
    }
}

fn heartbeat(period: Duration) -> Interval {
    let mut heartbeat = interval_at(Instant::now() + period, period);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat
}

async fn next(
    events: &mut Subscription,
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
        heard = events.next() => match heard {
            Some(subscription::Heard::Events(group)) => Next::Events(group),
            Some(subscription::Heard::Gap) => Next::Lagged,
            None => Next::Stopped,
        },
    }
}

fn is_revocation(event: &Event) -> bool {
    matches!(event, Event::Registry(change) if change.kind == RegistryChange::KeyRevoked)
}
