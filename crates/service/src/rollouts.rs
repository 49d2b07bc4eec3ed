//! Staged rollout: a candidate is monitored, then promoted or dropped.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use sentinel_core::id::RolloutId;
use sentinel_core::name::{Reason, TenantSlug};
use sentinel_core::policy::{Candidate, CandidateEngine, CandidateRefused, PolicyEngine};
use sentinel_core::policy_change::{PolicyChange, PolicyChangeKind};
use sentinel_core::ports::RolloutStep;
use sentinel_core::principal::Principal;
use sentinel_core::rollout::{
    Percent, PolicyFiles, PolicyState, Rollout, RolloutReport, RolloutState,
};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::ServiceError;
use crate::control::Control;
use crate::policy_log::PolicyLog;
use crate::services::Services;

/// How often a server looks whether there is a candidate that it does not hold.
const LOOK: Duration = Duration::from_millis(100);
/// Pause after a candidate could not be loaded.
const PAUSE: Duration = Duration::from_secs(2);

/// The rollouts of a deployment.
#[derive(Debug, Clone)]
pub struct Rollouts {
    pub(crate) control: Arc<Control>,
    pub(crate) log: PolicyLog,
    /// Held while candidates come and go: one that is about to be monitored is not let go of
    /// because it is not monitored yet.
    pub(crate) changing: Arc<Mutex<()>>,
}

/// What is to be rolled out, and for whom.
#[derive(Debug, Clone)]
pub struct RolloutRequest {
    pub files: PolicyFiles,
    /// All when empty.
    pub tenants: BTreeSet<TenantSlug>,
    pub percent: Percent,
    pub reason: Option<Reason>,
}

/// A rollout with what is shown beside it.
#[derive(Debug, Clone)]
pub struct RolloutView {
    pub rollout: Arc<Rollout>,
    /// Whether this server holds it ready.
    pub loaded: bool,
    /// Of this server; of a promoted one, as it was when it was monitored.
    pub report: Option<RolloutReport>,
}

impl Rollouts {
    /// Has a candidate vetted and monitored.
    ///
    /// # Errors
    /// When it is refused, a tenant is unknown, one is monitored already, or the store is away.
    pub async fn start(
        &self,
        principal: &Principal,
        request: RolloutRequest,
    ) -> Result<(RolloutView, Candidate), ServiceError> {
        unbound(principal)?;
        if self.log.engine.candidates().is_none() {
            let detail = "the policy engine loads its policy itself; roll it out there";
            return Err(ServiceError::conflict("rollout_elsewhere", detail));
        }
        let RolloutRequest { files, tenants, percent, reason } = request;
        for tenant in &tenants {
            self.control.tenant_for(principal, tenant).await?;
        }
        let id = RolloutId(Uuid::now_v7());
        let _alone = self.changing.lock().await;
        let candidate = self.load(id, files.clone()).await?;
        let candidate = candidate.map_err(|why| {
            ServiceError::invalid("candidate_refused", format!("the candidate is refused: {why}"))
        })?;
        let rollout = Rollout {
            id,
            revision: candidate.revision.clone(),
            digest: candidate.digest.clone(),
            tenants,
            percent,
            state: RolloutState::Monitored,
            over: None,
            actor: principal.id(),
            started_at: self.log.clock.now(),
        };
        let change = PolicyChange {
            detail: Some(scope(&rollout)),
            ..self.change(principal, PolicyChangeKind::RolloutStarted, &rollout, reason)
        };
        let started = self.log.store.start_rollout(rollout.clone(), files, change.clone()).await?;
        let Some(epoch) = started else {
            self.forget().await?;
            let detail = "a candidate is monitored already; promote or drop it first";
            return Err(ServiceError::conflict("rollout_exists", detail));
        };
        self.control.refresh_after("step of a rollout").await;
        self.log.publish(PolicyChange { epoch: Some(epoch), ..change });
        Ok((self.view(Arc::new(rollout)), candidate))
    }

    /// The candidate that is monitored, and the one that decides.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn current(
        &self,
    ) -> Result<(Option<RolloutView>, Option<RolloutView>), ServiceError> {
        let control = self.control.refresh().await?;
        let view = |rollout: &Option<Arc<Rollout>>| rollout.clone().map(|it| self.view(it));
        Ok((view(&control.policy().monitored), view(&control.policy().promoted)))
    }

    /// Puts the monitored candidate in force, on every server: no decision that is returned after
    /// this returns was made by what decided before.
    ///
    /// # Errors
    /// When none is monitored, it is not the one that is meant, this server does not hold it yet,
    /// or the store is away.
    pub async fn promote(
        &self,
        principal: &Principal,
        meant: Option<RolloutId>,
        reason: Option<Reason>,
    ) -> Result<RolloutView, ServiceError> {
        unbound(principal)?;
        let control = self.control.refresh().await?;
        let Some(rollout) = control.policy().monitored.clone() else {
            return Err(ServiceError::not_found("no_rollout", "a candidate that is monitored"));
        };
        if meant.is_some_and(|id| id != rollout.id) {
            return Err(other_than_meant());
        }
        if !self.holds(rollout.id) {
            let detail = "the candidate is being loaded here; try again in a moment";
            return Err(ServiceError::conflict("rollout_loading", detail));
        }
        let over = self.log.engine.status().digest;
        let kind = PolicyChangeKind::RolloutPromoted;
        let change = self.change(principal, kind, &rollout, reason);
        self.step(&rollout, RolloutState::Promoted, over, change).await?;
        let control = self.control.current();
        let promoted = control.policy().promoted.clone().unwrap_or(rollout);
        Ok(self.view(promoted))
    }

    /// Gives the monitored candidate up or, when none is monitored, takes the promoted one back; of
    /// the two the one that is `meant`, if one is.
    ///
    /// # Errors
    /// When there is neither, it is not the one that is meant, or the store is away.
    pub async fn drop(
        &self,
        principal: &Principal,
        meant: Option<RolloutId>,
        reason: Option<Reason>,
    ) -> Result<Arc<Rollout>, ServiceError> {
        unbound(principal)?;
        let control = self.control.refresh().await?;
        let policy = control.policy();
        let mut both = [&policy.monitored, &policy.promoted].into_iter().flatten().peekable();
        if both.peek().is_none() {
            return Err(ServiceError::not_found("no_rollout", "a candidate"));
        }
        let rollout = both.find(|rollout| meant.is_none_or(|id| id == rollout.id));
        let rollout = Arc::clone(rollout.ok_or_else(other_than_meant)?);
        let kind = PolicyChangeKind::RolloutDropped;
        let change = self.change(principal, kind, &rollout, reason);
        self.step(&rollout, RolloutState::Dropped, None, change).await?;
        Ok(rollout)
    }

    /// The source is the truth: once it brings something else than what a candidate was promoted
    /// over, the candidate is over, everywhere. To be called after each load.
    ///
    /// # Errors
    /// When the store is away. This server decides by what the source brought all the same.
    pub async fn source_brought(&self, source: &str) -> Result<(), ServiceError> {
        let status = self.log.engine.status();
        let control = self.control.refresh().await?;
        let Some(promoted) = control.policy().promoted.clone() else { return Ok(()) };
        let Some(digest) = status.digest else { return Ok(()) };
        if promoted.over.as_ref() == Some(&digest) {
            return Ok(());
        }
        let revision = status.revision.unwrap_or_default();
        let change = PolicyChange {
            revision: Some(promoted.revision.clone()),
            rollout_id: Some(promoted.id),
            detail: Some(format!("the source brought revision {revision}")),
            ..self.log.of_source(PolicyChangeKind::RolloutDropped, source)
        };
        match self.step(&promoted, RolloutState::Dropped, None, change).await {
            // Another server was first.
            Err(ServiceError::Conflict { .. }) => Ok(()),
            other => other,
        }
    }

    async fn step(
        &self,
        rollout: &Rollout,
        to: RolloutState,
        over: Option<String>,
        change: PolicyChange,
    ) -> Result<(), ServiceError> {
        let step = RolloutStep { id: rollout.id, from: rollout.state, to, over };
        let Some(epoch) = self.log.store.move_rollout(step, change.clone()).await? else {
            let detail = "the rollout was moved on by somebody else meanwhile";
            return Err(ServiceError::conflict("rollout_moved", detail));
        };
        self.control.refresh_after("step of a rollout").await;
        self.log.publish(PolicyChange { epoch: Some(epoch), ..change });
        Ok(())
    }

    fn change(
        &self,
        principal: &Principal,
        kind: PolicyChangeKind,
        rollout: &Rollout,
        reason: Option<Reason>,
    ) -> PolicyChange {
        // On what grounds it was promoted or dropped, as far as this server saw.
        let report = self.report(rollout.id);
        PolicyChange {
            revision: Some(rollout.revision.clone()),
            rollout_id: Some(rollout.id),
            detail: report.map(|report| findings(&report)),
            ..self.log.by(principal, kind, reason)
        }
    }

    fn view(&self, rollout: Arc<Rollout>) -> RolloutView {
        let loaded = self.holds(rollout.id);
        let report = self.report(rollout.id);
        RolloutView { rollout, loaded, report }
    }

    /// Loads the candidates that this server is to hold, and lets go of the others. A monitored one
    /// that vetting refuses is dropped, for all servers and their next starts: it has no influence
    /// on decisions, and whatever it does to a server it would do to each of them again. A promoted
    /// one is not, since then something else would decide; without it every check is denied.
    ///
    /// # Errors
    /// When the store is away, or one of them is refused here; the others are loaded all the same.
    pub async fn catch_up(&self) -> Result<(), ServiceError> {
        let _alone = self.changing.lock().await;
        let policy = Arc::clone(self.control.current().policy());
        let mut refused = None;
        for rollout in [&policy.promoted, &policy.monitored].into_iter().flatten() {
            if self.holds(rollout.id) {
                continue;
            }
            let Some(files) = self.log.store.rollout_files(rollout.id).await? else { continue };
            match self.load(rollout.id, files).await? {
                Ok(_) => tracing::info!(rollout = %rollout.id, "a candidate policy was loaded"),
                Err(why) if self.gives_up(rollout) => {
                    self.give_up(rollout, why.to_string()).await?
                }
                Err(why) => {
                    let why = format!("a candidate is refused here: {why}");
                    refused = Some(ServiceError::Unavailable(why));
                }
            }
        }
        self.forget().await?;
        refused.map_or(Ok(()), Err)
    }

    fn holds(&self, id: RolloutId) -> bool {
        self.log.engine.candidates().is_some_and(|engine| engine.has_candidate(id))
    }

    fn report(&self, id: RolloutId) -> Option<RolloutReport> {
        self.log.engine.candidates()?.rollout(id)
    }

    fn gives_up(&self, rollout: &Rollout) -> bool {
        let refuses = |engine: &dyn CandidateEngine| engine.refuses_candidate(rollout.id);
        rollout.state == RolloutState::Monitored
            && self.log.engine.candidates().is_some_and(refuses)
    }

    /// Drops a monitored candidate that vetting refused here.
    async fn give_up(&self, rollout: &Rollout, why: String) -> Result<(), ServiceError> {
        tracing::error!(rollout = %rollout.id, why, "a monitored candidate is refused and dropped");
        let change = PolicyChange {
            revision: Some(rollout.revision.clone()),
            rollout_id: Some(rollout.id),
            detail: Some(format!("refused when a server loaded it: {why}")),
            ..self.log.of_source(PolicyChangeKind::RolloutDropped, "vetting")
        };
        match self.step(rollout, RolloutState::Dropped, None, change).await {
            // Another server was first.
            Err(ServiceError::Conflict { .. }) => Ok(()),
            other => other,
        }
    }

    /// Lets go of candidates that are over; called with `changing` held.
    async fn forget(&self) -> Result<(), ServiceError> {
        let control = self.control.refresh().await?;
        if let Some(engine) = self.log.engine.candidates() {
            engine.keep_candidates(&wanted(control.policy()));
        }
        Ok(())
    }

    /// Vetting waits for a process.
    async fn load(
        &self,
        id: RolloutId,
        files: PolicyFiles,
    ) -> Result<Result<Candidate, CandidateRefused>, ServiceError> {
        let engine: Arc<dyn PolicyEngine> = Arc::clone(&self.log.engine);
        let loading = tokio::task::spawn_blocking(move || match engine.candidates() {
            Some(engine) => engine.load_candidate(id, &files),
            None => Err(CandidateRefused("the policy engine takes no candidates".to_owned())),
        });
        loading.await.map_err(|error| ServiceError::Unavailable(error.to_string()))
    }
}

/// Keeps the engine of this server up with what the store says of policy, until the services are
/// gone: prepared for data that was put, and holding the candidates there are.
pub async fn follow(services: Weak<Services>) {
    let mut held = None::<Arc<PolicyState>>;
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(services) = services.upgrade() else { return };
        let now = Arc::clone(services.control.current().policy());
        if held.as_ref().is_some_and(|held| Arc::ptr_eq(held, &now)) {
            continue;
        }
        let (engine, state) = (Arc::clone(&services.policy), Arc::clone(&now));
        let prepared = tokio::task::spawn_blocking(move || engine.observe(&state)).await;
        let caught_up = services.rollouts.catch_up().await;
        drop(services);
        match (prepared, caught_up) {
            (Ok(()), Ok(())) => held = Some(now),
            (prepared, caught_up) => {
                let cause = match caught_up {
                    Err(ServiceError::Unavailable(cause)) => cause,
                    Err(other) => other.to_string(),
                    Ok(()) => format!("preparing it failed: {prepared:?}"),
                };
                tracing::error!(cause, "a change of policy could not be prepared for");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn unbound(principal: &Principal) -> Result<(), ServiceError> {
    if principal.tenant().is_some() { Err(ServiceError::tenant_forbidden()) } else { Ok(()) }
}

fn other_than_meant() -> ServiceError {
    let detail = "the candidate is another one by now; look at it again".to_owned();
    ServiceError::Stale { code: "rollout_changed", detail }
}

fn wanted(policy: &PolicyState) -> Vec<RolloutId> {
    [&policy.monitored, &policy.promoted].into_iter().flatten().map(|rollout| rollout.id).collect()
}

fn findings(report: &RolloutReport) -> String {
    let RolloutReport { agreed, newly_allowed, newly_denied, otherwise, dropped, .. } = report;
    format!(
        "compared here: {agreed} agreed, {newly_allowed} newly allowed, {newly_denied} newly \
        denied, {otherwise} otherwise; {dropped} not compared"
    )
}

/// For whom, in words.
fn scope(rollout: &Rollout) -> String {
    let percent = rollout.percent.get();
    let tenants: Vec<&str> = rollout.tenants.iter().map(|tenant| tenant.as_str()).collect();
    match tenants.as_slice() {
        [] => format!("{percent} % of all calls"),
        few if few.len() <= 8 => format!("{percent} % of the calls of {}", few.join(", ")),
        many => format!("{percent} % of the calls of {} tenants", many.len()),
    }
}
