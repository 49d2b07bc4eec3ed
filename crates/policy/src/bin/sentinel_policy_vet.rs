//! The vetting process on its own, for this crate's tests: `sentinel-policy-vet DIR`.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args_os().next_back().map(PathBuf::from) {
        Some(dir) => sentinel_policy::run_child(&dir),
        None => ExitCode::FAILURE,
    }
}
