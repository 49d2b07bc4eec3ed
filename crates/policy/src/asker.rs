//! What a thread that asks for decisions keeps: decisions that need not be evaluated again,
//! questions that are being evaluated, and parts of inputs.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, PoisonError};

use regorus::Value;
use sentinel_core::policy::{PolicyDecision, PolicyError, PolicyInput};
use tokio::sync::oneshot;

use crate::evaluation::Evaluation;
use crate::ground::{Ground, Snapshot};
use crate::input::InputBuilder;
use crate::memo::{Memo, Question};
use crate::reaper::discard;

/// Questions of a thread whose outcomes were not looked at again.
const ASKED: usize = 1024;

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

    fn outcome(&self) -> Option<Outcome> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).outcome.clone()
    }

    fn is_done(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).outcome.is_some()
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

/// What asking comes to on this thread.
pub(crate) enum Posed {
    /// The decision is known: the same question was evaluated to the end before.
    Known(PolicyDecision),
    /// The same question is being evaluated.
    Asked(Arc<Asked>),
    /// It has to be evaluated; the second is there when others may wait for the same.
    Open(Evaluation, Option<Arc<Asked>>),
    /// The data is not prepared for this policy yet.
    Unprepared(Arc<Snapshot>),
}

#[derive(Default)]
struct Asker {
    builder: Option<InputBuilder>,
    known: Option<Known>,
}

/// What is known of one policy with its data.
struct Known {
    ground: Arc<Ground>,
    memo: Memo,
    asked: HashMap<Question, Arc<Asked>>,
}

thread_local! {
    static ASKER: RefCell<Asker> = RefCell::new(Asker::default());
}

/// Poses a question under the policy in `snapshot`, if this thread knows that with its data.
pub(crate) fn pose(snapshot: &Arc<Snapshot>, input: &PolicyInput<'_>) -> Option<Posed> {
    ASKER.with_borrow_mut(|asker| {
        let Asker { builder, known } = asker;
        let known = known.as_mut()?;
        if !known.ground.is(snapshot, &input.state.data) {
            return None;
        }
        let asked = match known.memo.question(input) {
            None => None,
            Some(question) => match known.look_up(question) {
                Ok(posed) => return Some(posed),
                Err(asked) => asked,
            },
        };
        let input_value = builder.get_or_insert_with(InputBuilder::new).build(input);
        let ground = Arc::clone(&known.ground);
        Some(Posed::Open(Evaluation { ground, input: input_value, usage: input.usage }, asked))
    })
}

impl Known {
    /// What is known of a question, or where all who ask it from now on wait.
    fn look_up(&mut self, question: Question) -> Result<Posed, Option<Arc<Asked>>> {
        if let Some(decision) = self.memo.get(&question) {
            return Ok(Posed::Known(decision));
        }
        if let Some(asked) = self.asked.get(&question) {
            match asked.outcome() {
                None => return Ok(Posed::Asked(Arc::clone(asked))),
                Some(Ok(decision)) => {
                    self.asked.remove(&question);
                    self.memo.keep(question, &decision);
                    return Ok(Posed::Known(decision));
                }
                // Errors, limits among them, are never kept.
                Some(Err(_)) => {}
            }
        }
        if self.asked.len() >= ASKED {
            self.asked.retain(|_, asked| !asked.is_done());
        }
        if self.asked.len() >= ASKED {
            return Err(None);
        }
        let asked = Arc::<Asked>::default();
        self.asked.insert(question, Arc::clone(&asked));
        Err(Some(asked))
    }
}

/// The same on a ground that this thread need not know.
pub(crate) fn open(ground: Arc<Ground>, input: &PolicyInput<'_>) -> Posed {
    let value = input_value(input);
    Posed::Open(Evaluation { ground, input: value, usage: input.usage }, None)
}

/// Makes `ground` the one that this thread knows.
pub(crate) fn know(ground: Arc<Ground>) {
    let memo = Memo::new(ground.snapshot.reads);
    let known = Known { ground, memo, asked: HashMap::new() };
    let old = ASKER.with_borrow_mut(|asker| asker.known.replace(known));
    // The decisions may be many, and this the last reference to much data.
    if let Some(old) = old {
        discard(old);
    }
}

/// The input as the interpreter's value.
pub(crate) fn input_value(input: &PolicyInput<'_>) -> Value {
    ASKER.with_borrow_mut(|asker| asker.builder.get_or_insert_with(InputBuilder::new).build(input))
}
