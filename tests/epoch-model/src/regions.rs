//! Several regions, each with its own database, and a kill that must hold in all of them: the plan
//! in docs/scaling.md. A region decides only while it holds a lease. For each region, a kill waits
//! for the acknowledgement or for the end of the lease.

use stateright::{Model, Property};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// A region goes on without a lease.
    NoLease,
    /// The kill returns without waiting for a region that does not answer.
    NoWait,
    /// The region's clock runs at half the speed of the authority's, and nothing allows for it.
    SlowClock,
}

/// The protocol between so many regions.
#[derive(Debug, Clone)]
pub struct Regions {
    pub regions: usize,
    pub flaw: Option<Flaw>,
}

/// Ticks that a lease lasts, by the clock of the region.
const LEASE: u8 = 2;
/// Ticks that the authority waits: the lease, and what clocks may differ by.
const WAIT: u8 = LEASE + 1;
/// Ticks that are looked at.
const END: u8 = 8;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Region {
    killed: bool,
    /// Ticks left of its lease, by its own clock.
    lease: u8,
    /// Ticks after which the authority knows that the lease is over.
    outer: u8,
    cut: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    time: u8,
    regions: Vec<Region>,
    asked: bool,
    returned: bool,
    allowed: bool,
    /// Whether a region allowed after the kill had returned.
    broken: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    Tick,
    Cut(usize),
    Heal(usize),
    /// The authority extends the lease; it gives none once a kill was asked for that the region
    /// has not acknowledged.
    Renew(usize),
    Check(usize),
    Ask,
    Deliver(usize),
    Return,
}

impl Regions {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn may_return(&self, state: &State) -> bool {
        let settled = |region: &Region| {
            region.killed || region.outer == 0 || (self.has(Flaw::NoWait) && region.cut)
        };
        state.asked && !state.returned && state.regions.iter().all(settled)
    }

    fn tick(&self, state: &mut State) -> Option<()> {
        if state.time == END {
            return None;
        }
        state.time += 1;
        let slow = self.has(Flaw::SlowClock) && state.time.is_multiple_of(2);
        for region in &mut state.regions {
            region.outer = region.outer.saturating_sub(1);
            if !slow {
                region.lease = region.lease.saturating_sub(1);
            }
        }
        Some(())
    }
}

impl Model for Regions {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let region = Region { killed: false, lease: 0, outer: 0, cut: false };
        vec![State {
            time: 0,
            regions: vec![region; self.regions],
            asked: false,
            returned: false,
            allowed: false,
            broken: false,
        }]
    }

    fn actions(&self, _: &State, actions: &mut Vec<Action>) {
        actions.extend([Action::Tick, Action::Ask, Action::Return]);
        for index in 0..self.regions {
            actions.extend([
                Action::Cut(index),
                Action::Heal(index),
                Action::Renew(index),
                Action::Check(index),
                Action::Deliver(index),
            ]);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Tick => self.tick(&mut state)?,
            Action::Ask => state.asked = true,
            Action::Return if self.may_return(last) => state.returned = true,
            Action::Return => return None,
            Action::Cut(index) => state.regions.get_mut(index)?.cut = true,
            Action::Heal(index) => state.regions.get_mut(index)?.cut = false,
            Action::Renew(index) => {
                let region = state.regions.get_mut(index)?;
                if region.cut || (last.asked && !region.killed) {
                    return None;
                }
                (region.lease, region.outer) = (LEASE, WAIT);
            }
            Action::Deliver(index) => {
                let region = state.regions.get_mut(index)?;
                if !last.asked || region.cut {
                    return None;
                }
                region.killed = true;
            }
            Action::Check(index) => {
                let region = state.regions.get_mut(index)?;
                let leased = region.lease > 0 || self.has(Flaw::NoLease);
                if region.killed || !leased {
                    return None;
                }
                state.allowed = true;
                state.broken |= last.returned;
            }
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no region allows once the kill has returned", |_, state: &State| {
                !state.broken
            }),
            Property::sometimes("a region allows", |_, state: &State| state.allowed),
            Property::sometimes("a kill returns though a region is cut off", |_, state: &State| {
                state.returned && state.regions.iter().any(|region| region.cut && !region.killed)
            }),
        ]
    }
}
