//! `sentinel mcp`: MCP servers on this machine, and the clients that start them.

mod allow;
mod configuration;
mod control_plane;
mod install;
mod introduction;
mod scan;
mod server_name;
mod status;
mod uninstall;
mod wrap;

use clap::Subcommand;

use crate::failure::Outcome;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs an MCP server, and has every call to it decided first.
    ///
    /// Put it in front of the command of a server in a client's configuration.
    Wrap(wrap::Args),
    /// Puts the servers of a client's configuration behind `sentinel mcp wrap`.
    Install(install::Args),
    /// Takes the servers of a client's configuration out again.
    Uninstall(uninstall::Args),
    /// Lists the servers that the clients on this machine use, and says which are not governed.
    ///
    /// Exit status 1 when one is not governed, or a configuration cannot be read.
    Scan(scan::Args),
    /// Allows a tool under the starter policy of `mcp wrap --embedded`.
    Allow(allow::Args),
    /// Shows where the control plane of `mcp wrap --embedded` is, and whether it runs.
    Status(status::Args),
    /// The control plane that `mcp wrap --embedded` starts.
    #[command(hide = true)]
    ControlPlane(control_plane::Args),
}

impl Command {
    /// Whether the command runs a server.
    pub(crate) const fn is_server(&self) -> bool {
        matches!(self, Self::ControlPlane(_))
    }
}

pub(crate) async fn run(command: Command, json: bool) -> Outcome {
    match command {
        Command::Wrap(args) => wrap::run(args).await,
        Command::Install(args) => install::run(&args),
        Command::Uninstall(args) => uninstall::run(&args),
        Command::Scan(args) => scan::run(&args, json),
        Command::Allow(args) => allow::run(&args),
        Command::Status(args) => status::run(&args, json),
        Command::ControlPlane(args) => control_plane::run(args).await,
    }
}
