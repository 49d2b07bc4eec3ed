//! Every order of steps keeps the guarantees, and the checker finds the order that breaks each
//! flawed variant.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use sentinel_epoch_model::epoch::{self, Epoch};
use sentinel_epoch_model::regions::{self, Regions};
use stateright::{Checker, Model};

#[test]
fn a_kill_and_a_quota_hold_in_every_order() {
    for (replicas, limit) in [(2, 2), (3, 1)] {
        let model = Epoch { replicas, limit, flaw: None };
        let checker = model.checker().threads(2).spawn_bfs().join();
        println!("{replicas} replicas: {} states", checker.unique_state_count());
        checker.assert_properties();
    }
}

#[test]
fn every_flaw_of_the_epoch_protocol_is_found() {
    let killed = "no allow commits while killed";
    for (flaw, property) in [
        (epoch::Flaw::NoEpochRead, killed),
        (epoch::Flaw::ReadBeforeWait, killed),
        (epoch::Flaw::KillWithoutLock, killed),
        (epoch::Flaw::LocalCount, "the quota holds"),
    ] {
        let model = Epoch { replicas: 2, limit: 2, flaw: Some(flaw) };
        let checker = model.checker().threads(2).spawn_bfs().join();
        let steps = checker.assert_any_discovery(property).into_actions();
        println!("{flaw:?}: {steps:?}");
    }
}

#[test]
fn a_kill_holds_in_every_region_in_every_order() {
    let checker = Regions { regions: 2, flaw: None }.checker().threads(2).spawn_bfs().join();
    println!("2 regions: {} states", checker.unique_state_count());
    checker.assert_properties();
}

#[test]
fn every_flaw_between_regions_is_found() {
    for flaw in [regions::Flaw::NoLease, regions::Flaw::NoWait, regions::Flaw::SlowClock] {
        let model = Regions { regions: 2, flaw: Some(flaw) };
        let checker = model.checker().threads(2).spawn_bfs().join();
        let property = "no region allows once the kill has returned";
        let steps = checker.assert_any_discovery(property).into_actions();
        println!("{flaw:?}: {steps:?}");
    }
}
