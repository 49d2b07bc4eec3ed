//! `sentinel mcp status`: the embedded control plane of this user.

use std::path::PathBuf;

use serde_json::json;

use crate::embedded::place::Place;
use crate::embedded::start::find;
use crate::failure::Outcome;
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Data directory of the embedded control plane; the user's by default.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, json: bool) -> Outcome {
    let place = Place::at(args.data_dir.as_deref())?;
    let running = find(&place)?;
    if json {
        return output::json(&json!({
            "running": running.is_some(),
            "url": running.as_ref().map(|running| running.url.as_str()),
            "pid": running.as_ref().map(|running| running.pid),
            "data_dir": place.path(),
            "allowed_tools": place.allowed(),
            "log": place.log(),
        }));
    }
    let address = match &running {
        Some(running) => format!("{}, process {}", running.url, running.pid),
        None => "not running; `sentinel mcp wrap --embedded` starts it".to_owned(),
    };
    output::fields(&[
        ("control plane", address),
        ("data", place.path().display().to_string()),
        ("allowed tools", place.allowed().display().to_string()),
        ("log", place.log().display().to_string()),
    ])?;
    match running {
        Some(running) => output::line(&format!(
            "Other commands reach it with SENTINEL_URL={} SENTINEL_DATA_DIR={}",
            running.url,
            place.path().display()
        )),
        None => Ok(()),
    }
}
