//! `sentinel evidence`: what an auditor is handed about one tenant, and how it is checked.

mod collect;
mod export;
mod logs;
mod verify;

use crate::failure::Outcome;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Collects what is recorded about a tenant in one archive, to be verified without a server.
    Export(export::Args),
    /// Verifies such an archive; needs no server.
    Verify(verify::Args),
}

pub(crate) async fn run(command: Command, json: bool) -> Outcome {
    match command {
        Command::Export(args) => export::run(args, json).await,
        Command::Verify(args) => verify::run(&args, json),
    }
}
