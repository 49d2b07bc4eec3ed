//! The requests under way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use sentinel_mcp_protocol::jsonrpc::Id;

/// One request under way. One that waits for the client's input is answered under the id of the
/// retry.
#[derive(Debug)]
pub(super) struct Call {
    id: Mutex<Option<Id>>,
    cancelled: CancellationToken,
}

impl Call {
    /// Completes when the client no longer waits.
    pub(super) async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }

    pub(super) fn cancel(&self) {
        self.cancelled.cancel();
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.is_cancelled()
    }

    fn id(&self) -> MutexGuard<'_, Option<Id>> {
        self.id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a request is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    InUse,
    TooMany,
}

/// Requests by the id under which the client waits.
#[derive(Debug)]
pub(super) struct Calls {
    limit: usize,
    calls: Mutex<HashMap<Id, Arc<Call>>>,
    /// Cancelled once the client has gone: a child of it is in each call.
    all: CancellationToken,
}

impl Calls {
    pub(super) fn new(limit: usize, all: CancellationToken) -> Self {
        Self { limit, calls: Mutex::default(), all }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Id, Arc<Call>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a request. An id that is in use is refused: the client could not tell which of two
    /// requests a response belongs to.
    pub(super) fn begin(&self, id: &Id) -> Result<Arc<Call>, Refusal> {
        let call = Call { id: Mutex::new(Some(id.clone())), cancelled: self.all.child_token() };
        let call = Arc::new(call);
        self.insert(id, &call)?;
        Ok(call)
    }

    fn insert(&self, id: &Id, call: &Arc<Call>) -> Result<(), Refusal> {
        let mut calls = self.lock();
        if calls.contains_key(id) {
            return Err(Refusal::InUse);
        }
        if calls.len() >= self.limit {
            return Err(Refusal::TooMany);
        }
        calls.insert(id.clone(), Arc::clone(call));
        Ok(())
    }

    /// Goes on with a request that waited for input, under the id of the retry.
    pub(super) fn resume(&self, call: &Arc<Call>, id: &Id) -> Result<(), Refusal> {
        self.insert(id, call)?;
        *call.id() = Some(id.clone());
        Ok(())
    }

    /// Takes the id under which the client waits, to respond. `None` when it waits no longer: it
    /// cancelled, or has its answer.
    pub(super) fn answer(&self, call: &Arc<Call>) -> Option<Id> {
        let id = call.id().take()?;
        let mut calls = self.lock();
        let is_current = calls.get(&id).is_some_and(|current| Arc::ptr_eq(current, call));
        is_current.then(|| calls.remove(&id))?;
        Some(id)
    }

    /// Cancels the request of that id, if it is under way. It gets no response, and the id is free
    /// again.
    pub(super) fn cancel(&self, id: &Id) {
        if let Some(call) = self.lock().remove(id) {
            call.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_used_once_at_a_time_and_a_cancelled_request_gets_no_response() {
        let calls = Calls::new(2, CancellationToken::new());
        let (one, two, three) = (Id::Integer(1), Id::Text("1".into()), Id::Integer(3));
        let first = calls.begin(&one).unwrap();
        assert_eq!(calls.begin(&one).unwrap_err(), Refusal::InUse);
        let second = calls.begin(&two).unwrap();
        assert_eq!(calls.begin(&three).unwrap_err(), Refusal::TooMany);
        calls.cancel(&two);
        assert_eq!(calls.answer(&second), None);
        assert_eq!(calls.answer(&first), Some(one.clone()));
        assert_eq!(calls.answer(&first), None, "one response for one request");
        // A request that waits for input is answered under the id of the retry.
        calls.resume(&first, &three).unwrap();
        assert_eq!(calls.answer(&first), Some(three));
        calls.begin(&one).unwrap();
    }
}
