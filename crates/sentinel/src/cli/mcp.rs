//! `sentinel mcp`: MCP servers on this machine, and the clients that start them.

mod configuration;
mod install;
mod scan;
mod server_name;
mod uninstall;

use clap::Subcommand;

use crate::failure::Outcome;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Puts the servers of a client's configuration behind `sentinel mcp wrap`.
    Install(install::Args),
    /// Takes the servers of a client's configuration out again.
    Uninstall(uninstall::Args),
    /// Lists the servers that the clients on this machine use, and says which are not governed.
    ///
    /// Exit status 1 when one is not governed, or a configuration cannot be read.
    Scan(scan::Args),
}

pub(crate) fn run(command: &Command, json: bool) -> Outcome {
    match command {
        Command::Install(args) => install::run(args),
        Command::Uninstall(args) => uninstall::run(args),
        Command::Scan(args) => scan::run(args, json),
    }
}
