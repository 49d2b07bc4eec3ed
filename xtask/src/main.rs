//! Checks of the repository itself, such as `cargo xtask edges`.

mod docs;
mod edges;
mod layout;
mod modules;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Checks of the repository itself")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Check links, quotes and generated parts of the documentation.
    Docs {
        /// Rewrite quotes and generated parts first.
        #[arg(long)]
        write: bool,
    },
    /// Fail when a crate depends on a crate that the architecture does not allow.
    Edges,
    /// Fail when a crate, a file, a port or a circle of files is too large.
    Layout,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Docs { write } => docs::check(write),
        Task::Edges => edges::check(),
        Task::Layout => layout::check(),
    };
    match result {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
