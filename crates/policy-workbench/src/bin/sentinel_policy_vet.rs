//! The vetting process on its own, for this crate's tests: `sentinel-policy-vet DIR`, or
//! `sentinel-policy-vet --stream` for many policies one after the other.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args_os().next_back().map(PathBuf::from) {
        Some(stream) if stream.as_os_str() == "--stream" => sentinel_policy_workbench::run_stream(),
        Some(dir) => sentinel_policy_workbench::run_child(&dir),
        None => ExitCode::FAILURE,
    }
}
