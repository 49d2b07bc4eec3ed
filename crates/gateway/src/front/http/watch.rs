//! Ends what may not go on: sessions of a speaker that is killed or whose key is revoked, and
//! everything once the server stops.

use std::sync::Arc;
use std::time::Duration;

use sentinel_core::event::Event;
use sentinel_service::subscription::{Heard, Subscription};
use tokio::sync::watch;

use super::endpoint::{Endpoint, Shared};
use super::legacy;
use crate::gateway::Speaker;

/// Kills begin and end by the clock, too; this is how often that is looked at.
const LOOK: Duration = Duration::from_secs(1);

pub(super) async fn run(endpoint: &Shared) {
    let mut events = endpoint.door.services().events.subscribe(None);
    let mut shutdown = endpoint.door.shutdown();
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stopped(shutdown.as_mut()) => break,
            concerns = concerns(&mut events) => if !concerns { break },
            _ = look.tick() => {}
        }
        legacy::end_covered(endpoint);
        endpoint.suspended.prune();
        endpoint.changed.send_modify(|changes| *changes = changes.wrapping_add(1));
    }
    tokio::time::sleep(endpoint.settings.last_call).await;
    endpoint.closing.cancel();
}

/// Completes when the server stops.
pub(super) async fn stopped(shutdown: Option<&mut watch::Receiver<bool>>) {
    match shutdown {
        // The sender is gone when the server is, so an error says the same.
        Some(shutdown) => drop(shutdown.wait_for(|stop| *stop).await),
        None => std::future::pending().await,
    }
}

/// Waits for an event that may end sessions. False when no event follows.
async fn concerns(events: &mut Subscription) -> bool {
    loop {
        match events.next().await {
            None => return false,
            Some(Heard::Gap) => return true,
            Some(Heard::Events(group)) => {
                let ends = |event: &Event| matches!(event, Event::Killed(_) | Event::Registry(_));
                if group.iter().any(|each| ends(&each.event)) {
                    return true;
                }
            }
        }
    }
}

/// Completes when the speaker may not go on, or the server stops. What streams without an end wait
/// for.
pub(super) async fn over(endpoint: Arc<Endpoint>, speaker: Speaker) {
    let mut shutdown = endpoint.door.shutdown();
    let mut changed = endpoint.changed.subscribe();
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stopped(shutdown.as_mut()) => return,
            // The sender is as old as the endpoint.
            _ = changed.changed() => {}
            _ = look.tick() => {}
        }
        if !endpoint.admits(&speaker) {
            return;
        }
    }
}
