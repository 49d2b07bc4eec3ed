//! Checks of the repository itself: `cargo xtask edges`.

mod edges;

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
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Edges => edges::check(),
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
