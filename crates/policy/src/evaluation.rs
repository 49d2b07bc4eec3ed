//! One evaluation on a thread of the pool: the interpreter, what its rules say, and how that reads
//! as a decision.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use regorus::{Engine, Value};
use sentinel_core::policy::PolicyError;
use sentinel_policy_analysis::interpreter::RuleValues;

use crate::asked::{Outcome, Waiting};
use crate::ground::Ground;
use crate::pool::Work;
use crate::reaper::discard;

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
    fn set_ground(&mut self, ground: &Arc<Ground>) {
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
    fn ask(&mut self, input: Value) -> Result<RuleValues, PolicyError> {
        let Some((mut engine, ground)) = self.0.take() else { return Err(PolicyError::NoPolicy) };
        let asked = catch_unwind(AssertUnwindSafe(move || {
            engine.set_input(input);
            let values = RuleValues::evaluate(&mut engine, ground.snapshot.shape);
            // What a policy prints may be a payload.
            drop(engine.take_prints());
            values.map(|values| (values, engine, ground))
        }));
        let panicked = |_| Err(PolicyError::Failed("the interpreter panicked".to_owned()));
        let (values, engine, ground) = asked.unwrap_or_else(panicked)?;
        self.0 = Some((engine, ground));
        Ok(values)
    }
}

impl Work for Evaluation {
    type State = Interpreter;
    type Outcome = Outcome;
    type Asker = Waiting;

    fn prepare(&self, interpreter: &mut Interpreter) {
        interpreter.set_ground(&self.ground);
    }

    fn run(self, interpreter: &mut Interpreter) -> Outcome {
        let values = interpreter.ask(self.input)?;
        values.decision(self.usage, &self.ground.revision)
    }

    fn tell(waiting: Waiting, outcome: Option<Outcome>) {
        waiting.tell(outcome.unwrap_or(Err(PolicyError::TimedOut)));
    }
}
