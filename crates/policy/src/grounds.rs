//! The ground that decisions rest on now: made once, off the threads that serve, and read by all of
//! them without a lock.

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwapOption;
use sentinel_core::policy::PolicyError;
use sentinel_core::policy_data::PolicyData;

use crate::ground::{Ground, Snapshot};
use crate::lock::lock;
use crate::reaper::discard;

/// The last ground that was made, or why it could not be.
struct Made {
    snapshot: Arc<Snapshot>,
    data: Arc<PolicyData>,
    ground: Result<Arc<Ground>, PolicyError>,
}

/// Makes grounds, one at a time. Making one takes as long as its data is large.
#[derive(Default)]
pub(crate) struct Grounds {
    made: ArcSwapOption<Made>,
    /// Held while one is made, so that it is made once. Never waited for by what serves.
    making: Mutex<()>,
    /// What serves waits for this one in its place.
    turn: tokio::sync::Mutex<()>,
}

impl Grounds {
    /// The ground of this policy with this data, if it is the one that was made last.
    pub(crate) fn at_hand(
        &self,
        snapshot: &Arc<Snapshot>,
        data: &Arc<PolicyData>,
    ) -> Option<Result<Arc<Ground>, PolicyError>> {
        let made = self.made.load();
        let made = made.as_ref()?;
        let same = match &made.ground {
            Ok(ground) => ground.is(snapshot, data),
            Err(_) => Arc::ptr_eq(&made.snapshot, snapshot) && Arc::ptr_eq(&made.data, data),
        };
        same.then(|| made.ground.clone())
    }

    /// The data of the ground that was made last.
    pub(crate) fn data(&self) -> Option<Arc<PolicyData>> {
        self.made.load().as_ref().map(|made| Arc::clone(&made.data))
    }

    /// The same as [`Self::at_hand`], made when it is not there. Blocks meanwhile.
    pub(crate) fn make(
        &self,
        snapshot: &Arc<Snapshot>,
        data: &Arc<PolicyData>,
    ) -> Result<Arc<Ground>, PolicyError> {
        let making = lock(&self.making);
        if let Some(ground) = self.at_hand(snapshot, data) {
            return ground;
        }
        let before = self.made.load_full();
        let before = before.as_ref().and_then(|made| made.ground.as_ref().ok());
        let ground = Ground::new(snapshot, data, before.map(AsRef::as_ref))
            .map(Arc::new)
            .map_err(PolicyError::from);
        if let Err(error) = &ground {
            tracing::error!(%error, "nothing can be decided: EVERY CHECK IS DENIED");
        }
        let (snapshot, data) = (Arc::clone(snapshot), Arc::clone(data));
        let made = Made { snapshot, data, ground: ground.clone() };
        let old = self.made.swap(Some(Arc::new(made)));
        drop(making);
        discard(old);
        ground
    }

    /// The same for a task, which leaves the work to a thread that may block.
    pub(crate) async fn prepare(
        self: &Arc<Self>,
        snapshot: Arc<Snapshot>,
        data: Arc<PolicyData>,
    ) -> Result<Arc<Ground>, PolicyError> {
        // One thread for all that wait.
        let _turn = self.turn.lock().await;
        if let Some(ground) = self.at_hand(&snapshot, &data) {
            return ground;
        }
        let grounds = Arc::clone(self);
        let making = tokio::task::spawn_blocking(move || grounds.make(&snapshot, &data));
        making.await.unwrap_or_else(|_| {
            Err(PolicyError::Failed("the policy's data could not be prepared".to_owned()))
        })
    }
}
