//! The control state in memory, kept up with the store.

use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use sentinel_core::control::ControlState;
use sentinel_core::epoch::Epoch;
use sentinel_core::name::TenantSlug;
use sentinel_core::ports::{ControlStore, StoreError};
use sentinel_core::principal::Principal;
use sentinel_core::tenant::Tenant;
use tokio::sync::watch;

use crate::ServiceError;
use crate::announce::{Announcer, Mine};
use crate::calls::Calls;

/// How often a replica that follows the others reads the store without being told.
const POLL: Duration = Duration::from_secs(1);

/// The newest control state this replica knows. It may lag behind the store; the commit of a
/// decision finds out and catches up, so a stale state never allows.
#[derive(Debug)]
pub struct Control {
    state: ArcSwap<ControlState>,
    store: Arc<dyn ControlStore>,
    announcer: Option<Announcer>,
    /// The calls in flight, which each newer state may forbid.
    calls: Option<Arc<Calls>>,
}

impl Control {
    /// Loads the whole state.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn load(store: Arc<dyn ControlStore>) -> Result<Self, StoreError> {
        let control = Self { state: ArcSwap::default(), store, announcer: None, calls: None };
        control.refresh().await?;
        Ok(control)
    }

    /// Has `announcer` announce changes of kills from now on.
    pub(crate) fn announcing(mut self, announcer: Announcer) -> Self {
        announcer.begin(self.current());
        self.announcer = Some(announcer);
        self
    }

    /// Has `calls` look at each state from now on.
    pub(crate) fn cutting(mut self, calls: Arc<Calls>) -> Self {
        self.calls = Some(calls);
        self
    }

    /// Says that this replica is about to change kills.
    pub(crate) fn expect(&self, mine: &Mine) {
        self.announcer.iter().for_each(|announcer| announcer.expect(mine.clone()));
    }

    /// Says that it does not, after all, or no longer.
    pub(crate) fn forget(&self, mine: &Mine) {
        self.announcer.iter().for_each(|announcer| announcer.forget(mine));
    }

    fn announce(&self) {
        // Calls are cut before anyone hears of the kill.
        self.calls.iter().for_each(|calls| calls.look(&self.current()));
        if let Some(announcer) = &self.announcer {
            announcer.tell(|| self.current());
        }
    }

    #[must_use]
    pub fn current(&self) -> Arc<ControlState> {
        self.state.load_full()
    }

    /// Catches up with the store, backwards, too, when an older copy of it was put in place.
    ///
    /// # Errors
    /// When the store cannot be read; the state stays as it was.
    pub async fn refresh(&self) -> Result<Arc<ControlState>, StoreError> {
        let known = self.current();
        let changes = self.store.control_changes(known.epoch()).await?;
        if changes.epoch < known.epoch() {
            tracing::error!(
                found = changes.epoch.0,
                known = known.epoch().0,
                "the store has gone back to an older copy; what it forgot is forgotten here, too"
            );
            return self.start_over().await;
        }
        if changes.epoch > known.epoch() {
            self.observe(&Arc::new(known.after(changes)));
        }
        Ok(self.current())
    }

    /// Catches up after a change that is committed. It holds whether or not this replica hears of
    /// it now, since each commit reads the epoch, so a failure must not turn it into an error.
    pub(crate) async fn refresh_after(&self, change: &'static str) -> Arc<ControlState> {
        match self.refresh().await {
            Ok(state) => state,
            Err(error) => {
                tracing::warn!(%error, change, "the control state could not be refreshed");
                self.current()
            }
        }
    }

    /// The store gives out its lost epochs once more, for other kills than those known here under
    /// the same numbers, so nothing known before may be compared with it any longer.
    async fn start_over(&self) -> Result<Arc<ControlState>, StoreError> {
        let all = self.store.control_changes(Epoch::default()).await?;
        let state = Arc::new(ControlState::default().after(all));
        self.state.store(Arc::clone(&state));
        self.announce();
        Ok(state)
    }

    /// Adopts `state` if it is newer than what is known, and announces the kills that it brings.
    pub fn observe(&self, state: &Arc<ControlState>) {
        if state.epoch() <= self.state.load().epoch() {
            return;
        }
        self.state.rcu(|known| {
            if state.epoch() > known.epoch() { Arc::clone(state) } else { Arc::clone(known) }
        });
        self.announce();
    }

    /// Keeps the state up to date with the other replicas until `control` is dropped: at once when
    /// they announce a newer epoch, and each second in case none does. This only makes what is
    /// known fresher; each commit sees to it that a stale state never allows.
    pub async fn follow(control: Weak<Self>, mut epochs: watch::Receiver<Epoch>) {
        let mut poll = tokio::time::interval(POLL);
        poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut told, mut failing) = (true, false);
        loop {
            let polled = tokio::select! {
                changed = epochs.changed(), if told => {
                    told = changed.is_ok();
                    false
                }
                _ = poll.tick() => true,
            };
            let Some(control) = control.upgrade() else { return };
            let newest = *epochs.borrow_and_update();
            if !polled && newest <= control.current().epoch() {
                continue;
            }
            let refreshed = control.refresh().await;
            if let Err(error) = &refreshed
                && !failing
            {
                tracing::warn!(%error, "the control state could not be refreshed");
            }
            failing = refreshed.is_err();
        }
    }

    /// The tenant of that slug, if `principal` may act there. A principal bound to another tenant
    /// gets the same error whether it exists or not.
    pub(crate) async fn tenant_for(
        &self,
        principal: &Principal,
        slug: &TenantSlug,
    ) -> Result<(Arc<ControlState>, Arc<Tenant>), ServiceError> {
        let mut state = self.current();
        if state.tenant(slug).is_none() {
            state = self.refresh().await?;
        }
        let tenant = state.tenant(slug).cloned();
        match tenant {
            Some(tenant) if principal.may_access(tenant.id) => Ok((state, tenant)),
            _ if principal.tenant().is_some() => Err(ServiceError::tenant_forbidden()),
            _ => Err(ServiceError::not_found("unknown_tenant", format!("tenant `{slug}`"))),
        }
    }
}
