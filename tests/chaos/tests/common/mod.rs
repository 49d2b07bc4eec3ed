//! Runs of the suite, one at a time: each has six servers.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

static TURN: Mutex<()> = Mutex::new(());

/// The binary beside this one.
fn sentinel() -> PathBuf {
    let chaos = Path::new(env!("CARGO_BIN_EXE_sentinel-chaos"));
    let sentinel = chaos.with_file_name("sentinel");
    if !sentinel.exists() {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--locked", "--package", "sentinel"]);
        assert!(build.status().unwrap().success());
    }
    sentinel
}

/// Exit status and output of a run.
pub(crate) fn chaos(command: &[&str], args: &[&str]) -> (Option<i32>, String) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut chaos = Command::new(env!("CARGO_BIN_EXE_sentinel-chaos"));
    chaos.args(command).arg("--sentinel").arg(sentinel()).args(args);
    let output = chaos.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    (output.status.code(), format!("{text}\n{errors}"))
}
