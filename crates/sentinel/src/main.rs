//! The one binary of Sentinel MCP: the server and the commands that talk to it.

mod cli;
mod client;
mod config;
mod dev;
mod embedded;
mod environment;
mod failure;
mod files;
mod output;
mod parts;
mod runtime;

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use sentinel_policy_analysis::interpreter::STACK;
use tokio::runtime::{Builder, Runtime};

use crate::cli::Cli;
use crate::failure::{Failure, OrFail as _, Outcome};

/// Saves a tenth or more of the time of a decision, which allocates much.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The vetting process limits itself before it does anything else.
    let mut args = std::env::args_os().skip(1);
    if args.next().as_deref() == Some(OsStr::new("policy"))
        && args.next().as_deref() == Some(OsStr::new("vet-child"))
        && let Some(dir) = args.next()
    {
        return sentinel_policy_workbench::run_child(Path::new(&dir));
    }
    let cli = Cli::parse();
    let outcome = if cli.blocks() { run_or_block(cli) } else { run(cli) };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// As [`run`], for a command that must stop what it was asked about when it fails, even by a panic.
fn run_or_block(cli: Cli) -> Outcome {
    let ran = catch_unwind(AssertUnwindSafe(|| run(cli)));
    ran.unwrap_or_else(|_| Err(Failure::blocked()))
}

fn run(cli: Cli) -> Outcome {
    if cli.is_server() {
        without_library_backtraces()?;
    }
    let runtime = runtime(cli.is_server()).or_fail(|| "cannot start the runtime".to_owned())?;
    let reads_input = cli.reads_input();
    let outcome = runtime.block_on(cli.run());
    if reads_input {
        // A read of standard input cannot be ended: waiting for it could take for ever.
        runtime.shutdown_background();
    }
    outcome
}

fn runtime(server: bool) -> std::io::Result<Runtime> {
    let mut builder =
        if server { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    builder.enable_all().thread_stack_size(STACK).thread_name("sentinel").build()
}

/// With `RUST_BACKTRACE` set, the interpreter collects a backtrace for every error, which triples
/// what a decision costs. Panics keep theirs. The environment of a running process cannot be
/// changed soundly, so the process starts itself again.
fn without_library_backtraces() -> Outcome {
    let wanted = std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
    if !wanted || std::env::var_os("RUST_LIB_BACKTRACE").is_some() {
        return Ok(());
    }
    let program = std::env::current_exe().or_fail(|| "cannot find this program".to_owned())?;
    let error = std::process::Command::new(program)
        .args(std::env::args_os().skip(1))
        .env("RUST_LIB_BACKTRACE", "0")
        .exec();
    Err(Failure::new(format!("cannot start again with RUST_LIB_BACKTRACE=0: {error}")))
}
