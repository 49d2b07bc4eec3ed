//! Breaks a fleet of replicas on PostgreSQL and Redis on purpose, under load, and checks that every
//! guarantee held: see docs/chaos.md.

mod checker;
mod client;
mod cluster;
mod disk;
mod fault;
mod fleet;
mod load;
mod observation;
mod planted;
mod proxy;
mod random;
mod replica;
mod report;
mod rows;
mod run;
mod upgrade;
mod world;

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::Parser;

#[derive(Debug, Parser)]
#[command(version, about = "Breaks a fleet of replicas under load and checks the guarantees")]
struct Cli {
    #[command(subcommand)]
    command: Option<Subcommand>,
    #[command(flatten)]
    run: run::Args,
}

#[derive(Debug, clap::Subcommand)]
enum Subcommand {
    /// Serves as one replica, with a fault in its store or as the next version.
    Replica(planted::Args),
    /// Rehearses an upgrade to the next version under load.
    Upgrade(upgrade::Args),
}

fn main() -> ExitCode {
    match start(Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Returns whether every guarantee held.
fn start(cli: Cli) -> Result<bool> {
    if cli.command.is_none() && cli.run.needs_namespace() {
        return Err(own_namespace());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match cli.command {
        Some(Subcommand::Replica(args)) => runtime.block_on(planted::run(args)).map(|()| true),
        Some(Subcommand::Upgrade(args)) => runtime.block_on(upgrade::run(&args)),
        None => runtime.block_on(run::run(&cli.run)),
    }
}

/// Starts again in a mount namespace of its own, which ends with the process.
fn own_namespace() -> anyhow::Error {
    let replaced = || -> Result<std::io::Error> {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--"]).arg(std::env::current_exe()?);
        command.args(std::env::args_os().skip(1)).arg(run::INSIDE);
        Ok(command.exec())
    };
    match replaced() {
        Ok(error) => anyhow::Error::new(error).context("`unshare` cannot be run"),
        Err(error) => error.context("no mount namespace"),
    }
}
