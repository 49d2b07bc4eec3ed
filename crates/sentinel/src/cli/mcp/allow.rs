//! `sentinel mcp allow`: puts a tool on the list of the starter policy.

use std::path::PathBuf;

use sentinel_core::name::ToolName;

use crate::client::name;
use crate::embedded::place::Place;
use crate::embedded::starter;
use crate::failure::Outcome;
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The tool as denials name it: `server__tool`.
    #[arg(value_name = "TOOL")]
    tool: String,
    /// Data directory of the embedded control plane; the user's by default.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let tool: ToolName = name("TOOL", &args.tool)?;
    let place = Place::at(args.data_dir.as_deref())?;
    let path = place.allowed();
    if starter::allow(&place, tool.as_str())? {
        output::line(&format!("allowed  `{tool}`, in {}", path.display()))
    } else {
        output::line(&format!("`{tool}` is on the list in {} already", path.display()))
    }
}
