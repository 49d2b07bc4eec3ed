//! Requests that wait for their client to come back with answers. They are kept in memory, so the
//! client has to come back to this replica; what it carries says which request it goes on with, and
//! opens nothing but that.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::running::Running;
use crate::front::http::feed::Feed;
use crate::front::http::legacy::facts::Party;
use crate::front::http::seal::{Seal, Sealed};
use crate::front::wants::Wants;
use sentinel_mcp_protocol::jsonrpc::{Object, Request, RpcError};

/// What the states of this front begin with. Others belong to a server, or to the mediator.
const PREFIX: &str = "sent1.";
/// No state of ours is longer.
const MAX_STATE: usize = 256;
/// Requests that may wait at one time, of all clients and of one.
const MAX_ALL: usize = 1024;
const MAX_OF_PARTY: usize = 32;

#[derive(Debug)]
pub(in crate::front::http) struct Suspended {
    waiting: Mutex<HashMap<Uuid, Waiting>>,
    seal: Arc<Seal>,
    /// How long a request waits for its client.
    patience: Duration,
}

#[derive(Debug)]
struct Waiting {
    running: Arc<Running>,
    until: Instant,
}

impl Suspended {
    pub(in crate::front::http) fn new(seal: Arc<Seal>, patience: Duration) -> Self {
        Self { waiting: Mutex::default(), seal, patience }
    }

    pub(super) const fn patience(&self) -> Duration {
        self.patience
    }

    /// Gives up requests whose clients did not come back in time.
    pub(in crate::front::http) fn prune(&self) {
        prune(&mut self.lock(), Instant::now());
    }

    /// Keeps a request until its client comes back with the state that is returned. `None` when too
    /// many wait.
    pub(super) fn keep(&self, running: &Arc<Running>) -> Option<String> {
        let now = Instant::now();
        let id = Uuid::new_v4();
        let state = self.seal.seal(Sealed::Suspended, id.as_bytes())?;
        let mut waiting = self.lock();
        prune(&mut waiting, now);
        let own = waiting.values().filter(|waiting| waiting.running.party() == running.party());
        if waiting.len() >= MAX_ALL || own.count() >= MAX_OF_PARTY {
            return None;
        }
        waiting.insert(id, Waiting { running: Arc::clone(running), until: now + self.patience });
        drop(waiting);
        Some(format!("{PREFIX}{state}"))
    }

    /// Goes on with a request. Its response goes into `feed`. A state serves once.
    pub(super) fn resume(
        &self,
        state: &str,
        party: &Party,
        request: &Request,
        (feed, wants): (&Arc<Feed>, Wants),
    ) -> Result<CancellationToken, RpcError> {
        let running = self.take(state, party, request)?;
        let responses = match request.params.get("inputResponses") {
            Some(Value::Object(responses)) => responses.clone(),
            None => Object::new(),
            Some(_) => return Err(RpcError::invalid_params("`inputResponses` must be an object")),
        };
        running.answered(responses);
        running.attach(feed, request.id.clone(), wants);
        Ok(running.cancel().clone())
    }

    /// The request that the state is of. A state that another party shows opens nothing, and spoils
    /// nothing.
    fn take(
        &self,
        state: &str,
        party: &Party,
        request: &Request,
    ) -> Result<Arc<Running>, RpcError> {
        let unknown =
            || RpcError::invalid_params("`requestState` is unknown, has been used or has expired");
        let state = Some(state).filter(|state| state.len() <= MAX_STATE).ok_or_else(unknown)?;
        let id = self.seal.open(Sealed::Suspended, state).ok_or_else(unknown)?;
        let id = Uuid::from_slice(&id).map_err(|_| unknown())?;
        let mut waiting = self.lock();
        prune(&mut waiting, Instant::now());
        let found = waiting.get(&id).ok_or_else(unknown)?;
        if !found.running.is_retried_by(party, request) {
            return Err(unknown());
        }
        Ok(waiting.remove(&id).ok_or_else(unknown)?.running)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn prune(waiting: &mut HashMap<Uuid, Waiting>, now: Instant) {
    waiting.retain(|_, waiting| {
        let waits = now < waiting.until;
        if !waits {
            waiting.running.cancel().cancel();
        }
        waits
    });
}

/// The state of a retry, if this front made it.
pub(super) fn state_of(params: &Object) -> Option<String> {
    let state = params.get("requestState").and_then(Value::as_str)?;
    state.strip_prefix(PREFIX).map(str::to_owned)
}
