//! The command line: one file per command.

mod audit;
mod check;
mod decisions;
mod dev;
mod doctor;
mod evidence;
mod findings;
mod hook;
mod key;
mod kill;
mod kills;
mod log;
mod mcp;
mod migrate;
mod openapi;
mod payload;
mod policy;
mod provenance;
mod quotas;
mod restore;
mod serve;
mod signing_key;
mod tools;
mod upstream;

use clap::{Parser, Subcommand};

use crate::failure::Outcome;

/// Governs what AI agents may do with their tools: every call is decided by policy, counted,
/// recorded and signed, and can be stopped everywhere at once.
#[derive(Debug, Parser)]
#[command(name = "sentinel", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Exit status: 0 allowed or verified, 1 denied or failed, 2 usage.")]
pub(crate) struct Cli {
    /// Prints JSON, for programs.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts a server for this machine: all in one directory, with sample tools and policies.
    Dev(dev::Args),
    /// Starts a server from a configuration; refuses one that is unsafe or incomplete.
    Serve(serve::Args),
    /// Asks whether a call is allowed, and has it counted and recorded.
    Check(check::Args),
    /// Lists, registers, shows, reviews and retires tools.
    #[command(subcommand)]
    Tools(tools::Command),
    /// Adds, lists and removes MCP servers behind the gateway.
    #[command(subcommand)]
    Upstream(upstream::Command),
    /// Stops a tool, a tenant, an agent, a principal, or everything, at once or for a time.
    Kill(kill::Args),
    /// Ends a kill.
    Restore(restore::Args),
    /// Lists kills.
    Kills(kills::Args),
    /// Governs the MCP servers that clients on this machine use.
    #[command(subcommand)]
    Mcp(mcp::Command),
    /// Governs agents that run a command before and after each tool call.
    #[command(subcommand)]
    Hook(hook::Command),
    /// Makes, lists and revokes API keys.
    #[command(subcommand)]
    Key(key::Command),
    /// Shows, follows and exports decisions.
    Decisions(decisions::Args),
    /// Lists, verifies and reads archived months of decisions, without a server.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Shows what is used of each quota.
    Quotas(quotas::Args),
    /// Vets, tests and tries policies; shows and changes those of a server.
    #[command(subcommand)]
    Policy(policy::Command),
    /// Fetches manifests, and verifies them offline.
    #[command(subcommand)]
    Provenance(provenance::Command),
    /// Fetches and destroys payloads that a server keeps.
    #[command(subcommand)]
    Payload(payload::Command),
    /// Hands an auditor what is recorded about a tenant, and verifies it without a server.
    #[command(subcommand)]
    Evidence(evidence::Command),
    /// Audits transparency logs, without a server.
    #[command(subcommand)]
    Log(log::Command),
    /// Opens the signing keys of a configuration, tries them, and shows their public halves.
    SigningKey(signing_key::Args),
    /// Brings the schema of a database up to date.
    Migrate(migrate::Args),
    /// Prints the OpenAPI document of the HTTP interface.
    Openapi(openapi::Args),
    /// Finds out what is wrong, and says what to do about it.
    Doctor(doctor::Args),
}

impl Cli {
    /// Whether the command runs the server, and so wants all the cores.
    pub(crate) const fn is_server(&self) -> bool {
        match &self.command {
            Command::Dev(_) | Command::Serve(_) => true,
            Command::Mcp(command) => command.is_server(),
            _ => false,
        }
    }

    /// Whether what the command was asked about must not happen when it fails, in whatever way.
    pub(crate) const fn blocks(&self) -> bool {
        matches!(self.command, Command::Hook(_))
    }

    /// Whether the command may end while standard input is still read.
    pub(crate) const fn reads_input(&self) -> bool {
        matches!(self.command, Command::Mcp(mcp::Command::Wrap(_)))
    }

    pub(crate) async fn run(self) -> Outcome {
        let json = self.json;
        match self.command {
            Command::Dev(args) => dev::run(args, json).await,
            Command::Serve(args) => serve::run(args, json).await,
            Command::Check(args) => check::run(args, json).await,
            Command::Tools(command) => tools::run(command, json).await,
            Command::Upstream(command) => upstream::run(command, json).await,
            Command::Kill(args) => kill::run(args, json).await,
            Command::Restore(args) => restore::run(args, json).await,
            Command::Kills(args) => kills::run(args, json).await,
            Command::Mcp(command) => mcp::run(command, json).await,
            Command::Hook(command) => hook::run(command).await,
            Command::Key(command) => key::run(command, json).await,
            Command::Decisions(args) => decisions::run(args, json).await,
            Command::Audit(command) => audit::run(command, json).await,
            Command::Quotas(args) => quotas::run(args, json).await,
            Command::Policy(command) => policy::run(command, json).await,
            Command::Provenance(command) => provenance::run(command, json).await,
            Command::Payload(command) => payload::run(command, json).await,
            Command::Evidence(command) => evidence::run(command, json).await,
            Command::Log(command) => log::run(command, json).await,
            Command::SigningKey(args) => signing_key::run(args, json).await,
            Command::Migrate(args) => migrate::run(args, json).await,
            Command::Openapi(args) => openapi::run(&args),
            Command::Doctor(args) => doctor::run(args, json).await,
        }
    }
}
