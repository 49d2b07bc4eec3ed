//! An upgrade of the schema under load loses no request; the mistakes that would lose some are
//! seen.
//!
//! The old version is the binary `sentinel`; the next one is put together from a store with the
//! feature `rehearsal`.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use crate::common::chaos;

#[test]
fn an_upgrade_under_load_loses_no_request() {
    let (status, output) = chaos(&["upgrade"], &[]);
    println!("{output}");
    assert_eq!(status, Some(0), "{output}");
    assert!(output.contains("no request was lost, and every guarantee held"), "{output}");
}

#[test]
fn a_contraction_under_old_replicas_is_noticed() {
    let (status, output) = chaos(&["upgrade"], &["--mistake", "contract-early"]);
    assert_eq!(status, Some(1), "{output}");
    assert!(output.contains("VIOLATION [lost-request]"), "{output}");
}

#[test]
fn replicas_that_end_without_draining_are_noticed() {
    let (status, output) = chaos(&["upgrade"], &["--mistake", "no-drain"]);
    assert_eq!(status, Some(1), "{output}");
    assert!(output.contains("VIOLATION [lost-request]"), "{output}");
}
