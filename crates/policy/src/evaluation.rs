//! One evaluation on a thread of the pool: the interpreter, what its rules say, and how that reads
//! as a decision.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use regorus::{Engine, LimitError, Value};
use sentinel_core::policy::{PolicyDecision, PolicyError};

use crate::asker::{Outcome, Waiting};
use crate::build::Shape;
use crate::document;
use crate::embedded::discard;
use crate::ground::Ground;
use crate::pool::Work;
use crate::stack::guarded;

/// A question, ready to be evaluated.
pub(crate) struct Evaluation {
    pub(crate) ground: Arc<Ground>,
    pub(crate) input: Value,
    pub(crate) usage: u64,
}

/// One thread's clone of the interpreter, with the ground that it was made from.
#[derive(Default)]
pub(crate) struct Interpreter(Option<(Engine, Arc<Ground>)>);

impl Interpreter {
    /// Makes it one for `ground`, unless it is.
    fn stand_on(&mut self, ground: &Arc<Ground>) {
        if let Some((_, own)) = &self.0
            && Arc::ptr_eq(own, ground)
        {
            return;
        }
        // What it was may be large, and is dropped elsewhere.
        let old = self.0.replace((ground.engine.clone(), Arc::clone(ground)));
        if let Some(old) = old {
            discard(old);
        }
    }

    /// Evaluates. After an error or a panic the state of an interpreter is unknown, so it does not
    /// come back.
    fn ask(&mut self, input: Value) -> Result<Answers, PolicyError> {
        let Some((mut engine, ground)) = self.0.take() else { return Err(PolicyError::NoPolicy) };
        let asked = catch_unwind(AssertUnwindSafe(move || {
            engine.set_input(input);
            let answers = answers(&mut engine, ground.snapshot.shape);
            // What a policy prints may be a payload.
            drop(engine.take_prints());
            answers.map(|answers| (answers, engine, ground))
        }));
        let panicked = |_| Err(PolicyError::Failed("the interpreter panicked".to_owned()));
        let (answers, engine, ground) = asked.unwrap_or_else(panicked)?;
        self.0 = Some((engine, ground));
        Ok(answers)
    }
}

impl Work for Evaluation {
    type State = Interpreter;
    type Outcome = Outcome;
    type Asker = Waiting;

    fn prepare(&self, interpreter: &mut Interpreter) {
        interpreter.stand_on(&self.ground);
    }

    fn run(self, interpreter: &mut Interpreter) -> Outcome {
        let answers = interpreter.ask(self.input)?;
        answers.read(self.usage, &self.ground.revision)
    }

    fn tell(waiting: Waiting, outcome: Option<Outcome>) {
        waiting.tell(outcome.unwrap_or(Err(PolicyError::TimedOut)));
    }
}

/// What the rules of a policy say.
#[derive(Debug)]
pub(crate) enum Answers {
    Decision(Value),
    Seed { allow: Value, deny_reason: Value, quota_remaining: Value },
}

/// Evaluates the rules that decide.
pub(crate) fn answers(engine: &mut Engine, shape: Shape) -> Result<Answers, PolicyError> {
    guarded(|| of_rules(engine, shape))
}

fn of_rules(engine: &mut Engine, shape: Shape) -> Result<Answers, PolicyError> {
    let mut rule = |name: &str| engine.eval_rule(format!("data.sentinel.policy.{name}"));
    let mut optional =
        |name: &str, defined: bool| if defined { rule(name) } else { Ok(Value::Undefined) };
    let answers = match shape {
        Shape::Decision => optional("decision", true).map(Answers::Decision),
        Shape::Seed { deny_reason, quota_remaining } => optional("allow", true).and_then(|allow| {
            let deny_reason = optional("deny_reason", deny_reason)?;
            let quota_remaining = optional("quota_remaining", quota_remaining)?;
            Ok(Answers::Seed { allow, deny_reason, quota_remaining })
        }),
    };
    answers.map_err(|error| match error.downcast_ref::<LimitError>() {
        Some(LimitError::TimeLimitExceeded { .. }) => PolicyError::TimedOut,
        _ => {
            let message = error.to_string();
            let timed_out = message.starts_with(TIMED_OUT);
            if timed_out { PolicyError::TimedOut } else { PolicyError::Failed(place(&message)) }
        }
    })
}

/// How the message of [`LimitError::TimeLimitExceeded`] begins: inside a function, the interpreter
/// turns the error into its text. No value can make another message begin so, since those begin with
/// the place in the policy.
const TIMED_OUT: &str = "execution exceeded time limit (elapsed=";

impl Answers {
    /// Reads them as a decision.
    pub(crate) fn read(
        &self,
        usage: u64,
        revision: &Arc<str>,
    ) -> Result<PolicyDecision, PolicyError> {
        match self {
            Self::Decision(document) => document::decision(document, revision),
            Self::Seed { allow, deny_reason, quota_remaining } => {
                document::seed_decision(allow, deny_reason, quota_remaining, usage, revision)
            }
        }
    }
}

/// Where the interpreter failed, and no more: its messages repeat values, which may be secrets.
fn place(message: &str) -> String {
    match message.lines().find_map(|line| line.trim().strip_prefix("--> ")) {
        Some(place) => format!("at {place}; `sentinel policy eval` shows the error"),
        None => "`sentinel policy eval` shows the error".to_owned(),
    }
}
