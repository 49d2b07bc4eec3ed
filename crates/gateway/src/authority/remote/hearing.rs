//! Listening to the events of a control plane, for as long as it takes.

use std::sync::Arc;
use std::time::Duration;

use sentinel_api::EventLine;
use sentinel_client::{Client, StreamEvent};
use serde_json::Value;
use tokio::sync::watch;

use super::doubt;
use super::flights::{Doubtful, Flights, Killed};

/// What is listened to.
const TYPES: &str = "kill_switch.*,registry.*,policy.*";
/// Pause before the control plane is asked again, which grows with each failure in a row.
const PAUSE: Duration = Duration::from_millis(500);
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// Never returns: the task is aborted.
pub(super) async fn listen(client: Client, flights: Arc<Flights>, changes: watch::Sender<u64>) {
    let mut pause = PAUSE;
    loop {
        match client.events(Some(TYPES), None).await {
            Ok(mut events) => {
                pause = PAUSE;
                // The stream is opened again from the start, which begins with every kill in
                // force: so nothing depends on events that were missed.
                while let Ok(Some(streamed)) = events.next().await {
                    doubt::settle(&client, hear(&streamed.event, &flights));
                    changes.send_modify(|count| *count = count.wrapping_add(1));
                }
            }
            Err(error) => tracing::debug!(%error, "the events of the control plane do not come"),
        }
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2).min(MAX_PAUSE);
    }
}

/// Returns the calls that what was heard may concern.
fn hear(event: &StreamEvent, flights: &Flights) -> Vec<Doubtful> {
    let mut doubtful = Vec::new();
    match event {
        StreamEvent::Sync(sync) => {
            for kill in sync.kills.iter().filter(|kill| kill.in_force) {
                doubtful.extend(flights.cut(Killed {
                    tenant: kill.tenant.as_ref().map(AsRef::as_ref),
                    tool: kill.tool.as_ref().map(AsRef::as_ref),
                    agent: kill.agent.as_ref().map(AsRef::as_ref),
                    epoch: kill.epoch.0,
                    scope: &kill.scope,
                    reason: kill.reason.as_ref(),
                }));
            }
            flights.heard(sync.epoch);
        }
        StreamEvent::Event(line) => {
            let epoch = line.metadata.value().get("epoch").and_then(Value::as_u64);
            if line.event == "kill_switch.disabled" {
                // One whose epoch is not known is taken for new.
                doubtful = killed(line, epoch.unwrap_or(u64::MAX), flights);
            }
            flights.heard(epoch.unwrap_or_default());
        }
        _ => {}
    }
    doubtful
}

fn killed(line: &EventLine<'_>, epoch: u64, flights: &Flights) -> Vec<Doubtful> {
    let metadata = line.metadata.value();
    let text = |name: &str| metadata.get(name).and_then(Value::as_str);
    flights.cut(Killed {
        tenant: line.tenant.as_deref(),
        tool: line.tool.as_deref(),
        agent: text("agent"),
        epoch,
        scope: text("scope").unwrap_or_default(),
        reason: line.reason.as_deref().unwrap_or_default(),
    })
}
