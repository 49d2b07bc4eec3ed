//! Candidates that a server finds in the store at its start, and that vetting refuses there.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sentinel_core::id::RolloutId;
use sentinel_core::page::Page;
use sentinel_core::policy::{
    Candidate, CandidateEngine, CandidateRefused, PolicyEngine, PolicyError, PolicyInput,
    PolicyStatus,
};
use sentinel_core::policy_change::PolicyChangeKind;
use sentinel_core::rollout::{Percent, PolicyFiles, RolloutReport};
use sentinel_service::rollouts::RolloutRequest;
use sentinel_service::{Ports, Services, Settings};

use crate::support::{ADMIN, Answer, App};

/// Takes candidates, or has a vetter that does not survive them.
#[derive(Debug)]
struct Vetting {
    survives: bool,
    held: Mutex<Vec<RolloutId>>,
    refused: Mutex<Vec<RolloutId>>,
}

#[async_trait]
impl PolicyEngine for Vetting {
    async fn evaluate(&self, _: PolicyInput<'_>) -> Answer {
        Err(PolicyError::NoPolicy)
    }

    fn status(&self) -> PolicyStatus {
        PolicyStatus {
            revision: None,
            engine: "vetting",
            loaded_at: None,
            error: None,
            refused_at: None,
            away: false,
            author: None,
            digest: None,
        }
    }

    fn candidates(&self) -> Option<&dyn CandidateEngine> {
        Some(self)
    }
}

impl CandidateEngine for Vetting {
    fn load_candidate(
        &self,
        id: RolloutId,
        _: &PolicyFiles,
    ) -> Result<Candidate, CandidateRefused> {
        if !self.survives {
            self.refused.lock().unwrap().push(id);
            return Err(CandidateRefused("vetting it crashed".to_owned()));
        }
        self.held.lock().unwrap().push(id);
        Ok(Candidate { revision: "2.0".to_owned(), digest: "00".to_owned(), warnings: Vec::new() })
    }

    fn has_candidate(&self, id: RolloutId) -> bool {
        self.held.lock().unwrap().contains(&id)
    }

    fn refuses_candidate(&self, id: RolloutId) -> bool {
        self.refused.lock().unwrap().contains(&id)
    }

    fn keep_candidates(&self, _: &[RolloutId]) {}

    fn rollout(&self, _: RolloutId) -> Option<RolloutReport> {
        None
    }
}

/// A server that starts on the store of `app`.
async fn server(app: &App, survives: bool) -> (Services, Arc<Vetting>) {
    let engine = Arc::new(Vetting { survives, held: Mutex::default(), refused: Mutex::default() });
    let ports = Ports { policy: engine.clone(), ..app.ports() };
    (Services::start(ports, Settings::default()).await.unwrap(), engine)
}

fn request() -> RolloutRequest {
    let files = PolicyFiles::from([("p.rego".to_owned(), "package sentinel.policy".to_owned())]);
    RolloutRequest { files, tenants: [].into(), percent: Percent::ALL, reason: None }
}

#[tokio::test]
async fn a_monitored_candidate_that_ends_the_vetter_is_dropped_for_all_starts_to_come() {
    let app = App::start().await;
    let (first, _) = server(&app, true).await;
    let (view, _) = first.rollouts.start(&ADMIN, request()).await.unwrap();
    drop(first);

    let (second, engine) = server(&app, false).await;
    second.rollouts.catch_up().await.unwrap();
    assert_eq!(*engine.refused.lock().unwrap(), [view.rollout.id]);
    let (monitored, promoted) = second.rollouts.current().await.unwrap();
    assert!(monitored.is_none() && promoted.is_none());
    let changes = second.policy_log.changes(Page::first(10)).await.unwrap().items;
    assert_eq!(changes[0].kind, PolicyChangeKind::RolloutDropped);
    assert!(changes[0].detail.as_ref().unwrap().contains("vetting it crashed"), "{changes:?}");
    drop(second);

    let (third, engine) = server(&app, false).await;
    third.rollouts.catch_up().await.unwrap();
    assert!(engine.refused.lock().unwrap().is_empty(), "it is not vetted again");
    // There is room for the next one.
    let (fourth, _) = server(&app, true).await;
    fourth.rollouts.start(&ADMIN, request()).await.unwrap();
}

/// Without it something else would decide.
#[tokio::test]
async fn a_promoted_candidate_that_is_refused_stays_promoted() {
    let app = App::start().await;
    let (first, _) = server(&app, true).await;
    let (view, _) = first.rollouts.start(&ADMIN, request()).await.unwrap();
    first.rollouts.promote(&ADMIN, None, None).await.unwrap();
    drop(first);

    let (second, _) = server(&app, false).await;
    let error = format!("{:?}", second.rollouts.catch_up().await.unwrap_err());
    assert!(error.contains("vetting it crashed"), "{error}");
    let (_, promoted) = second.rollouts.current().await.unwrap();
    assert_eq!(promoted.map(|found| found.rollout.id), Some(view.rollout.id));
}
