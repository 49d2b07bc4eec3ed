//! Who waits for an evaluation, and what it comes to.

use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};

use sentinel_core::policy::{PolicyDecision, PolicyError};
use tokio::sync::oneshot;

pub(crate) type Outcome = Result<PolicyDecision, PolicyError>;

/// Where an outcome goes. One that is dropped without an outcome is an error to the other side.
pub(crate) enum Reply {
    Task(oneshot::Sender<Outcome>),
    Thread(SyncSender<Outcome>),
}

impl Reply {
    pub(crate) fn send(self, outcome: Outcome) {
        // Who asked may have gone away.
        match self {
            Self::Task(sender) => drop(sender.send(outcome)),
            Self::Thread(sender) => drop(sender.try_send(outcome)),
        }
    }
}

/// A question that is being evaluated, and all who asked it on this thread meanwhile. Only one
/// whose decision may be kept is shared; whatever it comes to, a limit too, it comes to for all of
/// them.
#[derive(Default)]
pub(crate) struct Asked(Mutex<Progress>);

#[derive(Default)]
struct Progress {
    first: Option<Reply>,
    more: Vec<Reply>,
    outcome: Option<Outcome>,
}

impl Asked {
    /// Sends the outcome to `reply`, at once when it is there.
    pub(crate) fn add(&self, reply: Reply) {
        let mut progress = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &progress.outcome {
            Some(outcome) => {
                let outcome = outcome.clone();
                drop(progress);
                reply.send(outcome);
            }
            None if progress.first.is_none() => progress.first = Some(reply),
            None => progress.more.push(reply),
        }
    }

    fn tell(&self, outcome: Outcome) {
        let mut progress = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        progress.outcome = Some(outcome.clone());
        let (first, more) = (progress.first.take(), std::mem::take(&mut progress.more));
        drop(progress);
        for reply in more {
            reply.send(outcome.clone());
        }
        if let Some(first) = first {
            first.send(outcome);
        }
    }

    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).outcome.clone()
    }
}

/// Who waits for an evaluation.
pub(crate) enum Waiting {
    One(Reply),
    All(Arc<Asked>),
}

impl Waiting {
    pub(crate) fn tell(self, outcome: Outcome) {
        match self {
            Self::One(reply) => reply.send(outcome),
            Self::All(asked) => asked.tell(outcome),
        }
    }
}
