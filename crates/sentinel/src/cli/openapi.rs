//! `sentinel openapi`: the description of the HTTP interface.

use crate::failure::Outcome;
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args) -> Outcome {
    output::json(&sentinel_http::openapi())
}
