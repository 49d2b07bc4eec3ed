//! Checks of the repository itself: `cargo xtask edges`.

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
    /// Fail when a crate depends on one that the architecture keeps from it.
    Edges,
    /// Fail when a crate, a file, a port or a circle of files is too large.
    Layout,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
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
