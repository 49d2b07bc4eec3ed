//! `sentinel policy`: works on policies, most of it without a server.

mod bench;
mod bundle;
mod data;
mod eval;
mod log;
mod replay;
mod rollout;
mod source;
mod test;

use std::path::{Path, PathBuf};

use sentinel_policy::Vetter;
use sentinel_policy_bundles::SupplyError;
use serde_json::json;

use self::source::{Version, directory, is_rego};
use crate::cli::findings;
use crate::failure::{OrFail as _, Outcome};
use crate::output;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Vets a policy as the server does before it loads one.
    Check {
        /// Directory with `*.rego` and data, or a bundle; whose signature it has is not looked at.
        dir: PathBuf,
        #[command(flatten)]
        version: Version,
    },
    /// Runs the tests of a policy: its `test_` rules, in whatever file, as `opa test` does.
    Test(test::Args),
    /// Evaluates a policy on an input.
    Eval(eval::Args),
    /// Measures each rule of a policy, and warns of those that go through all data.
    Bench(bench::Args),
    /// Prints the JSON Schema of `input`, for editors and `opa check --schema`.
    Schema,
    /// Builds, signs, shows and verifies bundles, in OPA's format.
    #[command(subcommand)]
    Bundle(bundle::Command),
    /// Shows what a candidate would have decided otherwise, on recorded decisions.
    Replay(replay::Args),
    /// Shows every change of the policy of a server: what, by whom, and why.
    Log(log::Args),
    /// Shows and changes the data that a server's policy has beside what its source brings.
    #[command(subcommand)]
    Data(data::Command),
    /// Compares a candidate with the policy that decides, then promotes or drops it.
    #[command(subcommand)]
    Rollout(rollout::Command),
}

pub(crate) async fn run(command: Command, json: bool) -> Outcome {
    // Vetting waits for a process and the interpreter does not yield: neither is for this thread
    // of the runtime, nor is there anything else for it to do.
    match command {
        Command::Check { dir, version } => check(&dir, version, json),
        Command::Test(args) => test::run(&args, json),
        Command::Eval(args) => eval::run(&args, json),
        Command::Bench(args) => bench::run(&args, json),
        Command::Schema => output::json(&sentinel_policy_analysis::input_schema()),
        Command::Bundle(command) => bundle::run(&command, json),
        Command::Replay(args) => replay::run(&args, json).await,
        Command::Log(args) => log::run(args, json).await,
        Command::Data(command) => data::run(command, json).await,
        Command::Rollout(command) => rollout::run(command, json).await,
    }
}

fn check(dir: &Path, version: Version, json: bool) -> Outcome {
    if is_rego(dir) {
        directory(dir)?;
    }
    let vetter = Vetter::own().or_fail(|| "cannot find this program".to_owned())?;
    let vetted = if dir.is_file() {
        bundle::vet_unverified(dir, version)?
    } else {
        vetter.vet(dir, &version.limits()).map_err(SupplyError::from)
    };
    let vetted = match vetted {
        Ok(vetted) => vetted,
        Err(error) => return findings::refused(&error, json),
    };
    let source = vetted.source();
    if json {
        return output::json(&json!({
            "revision": source.revision(),
            "digest": source.digest(),
            "findings": findings::as_json(vetted.warnings()),
        }));
    }
    findings::show(vetted.warnings())?;
    output::line(&format!("sound  {}  revision {}", dir.display(), source.revision()))
}
