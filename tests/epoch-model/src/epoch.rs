//! Replicas that commit decisions under a shared lock, and an operator who kills and restores under
//! the exclusive one: `store-postgres/src/{commit,transaction,kills}.rs` step by step.

use stateright::{Model, Property};

/// What a careless implementation would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// The epoch is not read in the transaction.
    NoEpochRead,
    /// One statement takes the lock and reads the epoch: it reads from before its wait.
    ReadBeforeWait,
    /// A kill takes no lock.
    KillWithoutLock,
    /// Each replica counts the quota by itself.
    LocalCount,
}

/// The protocol with so many replicas.
#[derive(Debug, Clone)]
pub struct Epoch {
    pub replicas: usize,
    /// Allows that the quota has room for.
    pub limit: u8,
    pub flaw: Option<Flaw>,
}

/// The epoch, and whether the tool is killed in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Control {
    epoch: u8,
    killed: bool,
}

/// Where a replica is with its one check at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    Idle,
    /// Decided in memory.
    Decided {
        allow: bool,
        on: Control,
    },
    /// Waits for the lock, having seen the store as it was.
    Waiting {
        allow: bool,
        on: Control,
        seen: Control,
    },
    /// Holds the lock shared.
    Locked {
        allow: bool,
        on: Control,
        seen: Control,
    },
    /// Has compared epochs, and decided again if necessary.
    Checked {
        allow: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Replica {
    /// The control state in its memory, which may lag behind.
    known: Control,
    step: Step,
    /// Allows that it has committed.
    allows: u8,
}

/// Where the operator is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    Idle,
    /// Holds the lock alone, to kill or to restore.
    Locked {
        kill: bool,
    },
    Over,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    store: Control,
    replicas: Vec<Replica>,
    operator: Operator,
    used: u8,
    /// Whether some allow was committed although the tool was killed.
    broken: bool,
    /// Whether an allow was committed after the restore.
    recovered: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    Decide(usize),
    AskForLock(usize),
    TakeLock(usize),
    CompareEpoch(usize),
    Commit(usize),
    /// A message arrives, or the slow poll comes round.
    Refresh(usize),
    /// `kill -9`; the database rolls its transaction back.
    Crash(usize),
    LockForChange {
        kill: bool,
    },
    CommitChange,
}

/// Epochs that are looked at: a kill, a restore, a kill.
const LAST_EPOCH: u8 = 3;

impl Epoch {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn may_share(&self, state: &State) -> bool {
        self.has(Flaw::KillWithoutLock) || !matches!(state.operator, Operator::Locked { .. })
    }

    fn may_lock_alone(&self, state: &State) -> bool {
        let shared =
            |replica: &Replica| matches!(replica.step, Step::Locked { .. } | Step::Checked { .. });
        self.has(Flaw::KillWithoutLock) || !state.replicas.iter().any(shared)
    }

    fn next_step(&self, state: &State, replica: &Replica, action: Action) -> Option<Step> {
        match (action, replica.step) {
            (Action::Decide(_), Step::Idle) => {
                Some(Step::Decided { allow: !replica.known.killed, on: replica.known })
            }
            (Action::AskForLock(_), Step::Decided { allow, on }) => {
                Some(Step::Waiting { allow, on, seen: state.store })
            }
            (Action::TakeLock(_), Step::Waiting { allow, on, seen }) if self.may_share(state) => {
                let seen = if self.has(Flaw::ReadBeforeWait) { seen } else { state.store };
                Some(Step::Locked { allow, on, seen })
            }
            (Action::CompareEpoch(_), Step::Locked { allow, on, seen }) => {
                let moved = seen.epoch != on.epoch && !self.has(Flaw::NoEpochRead);
                Some(Step::Checked { allow: if moved { !state.store.killed } else { allow } })
            }
            _ => None,
        }
    }

    fn commit(&self, state: &mut State, index: usize) -> Option<()> {
        let limit = self.limit;
        let local = self.has(Flaw::LocalCount);
        let replica = state.replicas.get_mut(index)?;
        let Step::Checked { allow } = replica.step else { return None };
        let counted = if local { replica.allows } else { state.used };
        if allow && counted < limit {
            replica.allows += 1;
            state.used += 1;
            state.broken |= state.store.killed;
            state.recovered |= state.store.epoch == 2;
        }
        replica.step = Step::Idle;
        Some(())
    }
}

impl Model for Epoch {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let store = Control { epoch: 0, killed: false };
        let replica = Replica { known: store, step: Step::Idle, allows: 0 };
        vec![State {
            store,
            replicas: vec![replica; self.replicas],
            operator: Operator::Idle,
            used: 0,
            broken: false,
            recovered: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for index in 0..self.replicas {
            actions.extend([
                Action::Decide(index),
                Action::AskForLock(index),
                Action::TakeLock(index),
                Action::CompareEpoch(index),
                Action::Commit(index),
                Action::Refresh(index),
                Action::Crash(index),
            ]);
        }
        let kill = !state.store.killed;
        actions.extend([Action::LockForChange { kill }, Action::CommitChange]);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Decide(index)
            | Action::AskForLock(index)
            | Action::TakeLock(index)
            | Action::CompareEpoch(index) => {
                let step = self.next_step(last, last.replicas.get(index)?, action)?;
                state.replicas.get_mut(index)?.step = step;
            }
            Action::Commit(index) => self.commit(&mut state, index)?,
            Action::Refresh(index) => state.replicas.get_mut(index)?.known = last.store,
            Action::Crash(index) => {
                let replica = state.replicas.get_mut(index)?;
                *replica = Replica { known: last.store, step: Step::Idle, ..replica.clone() };
            }
            Action::LockForChange { kill } => {
                let idle = last.operator == Operator::Idle && last.store.epoch < LAST_EPOCH;
                if !idle || !self.may_lock_alone(last) {
                    return None;
                }
                state.operator = Operator::Locked { kill };
            }
            Action::CommitChange => {
                let Operator::Locked { kill } = last.operator else { return None };
                state.store = Control { epoch: last.store.epoch + 1, killed: kill };
                let over = state.store.epoch == LAST_EPOCH;
                state.operator = if over { Operator::Over } else { Operator::Idle };
            }
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no allow commits while killed", |_, state: &State| !state.broken),
            Property::always("the quota holds", |model: &Self, state: &State| {
                state.used <= model.limit
            }),
            Property::sometimes("it allows", |_, state: &State| state.used > 0),
            Property::sometimes("it allows again after a restore", |_, state: &State| {
                state.recovered
            }),
        ]
    }
}
