//! The checker finds planted faults, and finds nothing without one.
//!
//! The replicas are this program's own, and are not told about changes: the control run shows
//! that the guarantees rest on the commit alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

mod common;

use crate::common::chaos;

/// Exit status and output of a run with a fault.
fn run(fault: &str, schedule: &[&str]) -> (Option<i32>, String) {
    chaos(&[], &[&["--fault", fault], schedule].concat())
}

#[track_caller]
fn found(fault: &str, schedule: &[&str], rules: &[&str]) {
    let (status, output) = run(fault, schedule);
    assert_eq!(status, Some(1), "{output}");
    for rule in rules {
        assert!(output.contains(&format!("VIOLATION [{rule}]")), "no `{rule}` in: {output}");
    }
}

#[test]
fn without_a_fault_nothing_is_found() {
    let (status, output) = run("nothing", &["--only", "postgres-crash,replica-kill"]);
    assert_eq!(status, Some(0), "{output}");
    assert!(output.contains("every guarantee held"), "{output}");
}

#[test]
fn a_commit_that_does_not_read_the_epoch_is_found() {
    found("skip-epoch-read", &["--only", "none", "--seconds", "4"], &["allow-after-kill"]);
}

#[test]
fn quotas_that_each_replica_counts_for_itself_are_found() {
    let rules = ["quota-exceeded", "counter-differs"];
    found("count-quotas-locally", &["--only", "none", "--seconds", "4"], &rules);
}

#[test]
fn an_answer_before_the_commit_is_found() {
    let crashes = "postgres-crash,postgres-crash,postgres-crash,replica-kill";
    found("answer-before-commit", &["--only", crashes], &["lost-decision"]);
}
