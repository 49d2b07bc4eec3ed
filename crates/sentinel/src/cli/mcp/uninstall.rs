//! `sentinel mcp uninstall`: takes the edit of `install` back.

use sentinel_mcp_clients::{State, backup_of};

use super::configuration::{Configuration, Which};
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
}

pub(crate) fn run(args: &Args) -> Outcome {
    let mut is_changed = false;
    for configuration in args.which.configurations()? {
        is_changed |= edit(args, &configuration)?;
    }
    if is_changed {
        output::line(&format!("Restart {} for this to take effect.", args.which.client.name))
    } else {
        output::line("nothing was changed")
    }
}

fn edit(args: &Args, configuration: &Configuration) -> Outcome<bool> {
    let mut document = configuration.document.clone();
    for server in document.servers() {
        if args.which.means(&server.name) {
            document = document
                .ungovern(&server)
                .or_fail(|| format!("cannot edit `{}`", configuration.path.display()))?;
        }
    }
    let text = document.text();
    if text == configuration.file.text || !args.which.agreed(configuration, &text)? {
        return Ok(false);
    }
    let is_last =
        document.servers().iter().all(|server| !matches!(server.state, State::Governed(_)));
    if is_last && was_edited(configuration, &text) {
        output::line("The file has been edited since; only the edit of `install` was taken back.")?;
    }
    configuration.file.restore(&text, is_last).map_err(|error| Failure::new(error.to_string()))?;
    Ok(true)
}

/// Whether the text is another than that which was kept before the first edit.
fn was_edited(configuration: &Configuration, text: &str) -> bool {
    let kept = std::fs::read_to_string(backup_of(configuration.file.path()));
    kept.is_ok_and(|kept| kept != text)
}
