//! `sentinel hook`: what agents that run commands before and after their tool calls need.

mod claude_code;
mod event;
mod records;

use crate::failure::Outcome;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Governs the tool calls of Claude Code: reads one hook event from standard input.
    ClaudeCode(claude_code::Args),
}

/// Runs a hook. Its exit status speaks to the agent, not to a shell.
pub(crate) async fn run(command: Command) -> Outcome {
    match command {
        Command::ClaudeCode(args) => claude_code::run(args).await,
    }
}
