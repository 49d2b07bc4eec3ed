//! The policy that a command works on: how it is named, read and vetted.

use std::path::Path;

use sentinel_policy::Vetter;
use sentinel_policy_analysis::{SourceLimits, Vetted};

use crate::failure::{Failure, OrFail as _, Outcome};

/// In which version of Rego a policy is that does not say so.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Version {
    /// Reads files as Rego v0 where neither they nor the `.manifest` state a version.
    #[arg(long)]
    pub(super) v0_compatible: bool,
}

impl Version {
    /// How a directory is read.
    pub(crate) fn limits(self) -> SourceLimits {
        SourceLimits { v0_compatible: self.v0_compatible, ..SourceLimits::default() }
    }
}

/// Refuses a file where a directory of policy is meant.
///
/// # Errors
/// When it is a file.
pub(super) fn directory(dir: &Path) -> Outcome {
    if !dir.is_file() {
        return Ok(());
    }
    let message = format!("`{}` is a file", dir.display());
    Err(Failure::usage(message).help(if is_rego(dir) {
        "give the directory, not a single .rego file"
    } else {
        "give the directory of the policy; a bundle is unpacked with `tar -xkzf FILE -C DIR`"
    }))
}

/// Whether a path names a file of Rego.
pub(super) fn is_rego(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rego")
}

/// Vets what is worked on, and decides nothing yet.
///
/// # Errors
/// When it is not a directory, or vetting refuses it.
pub(super) fn vet(dir: &Path, version: Version) -> Outcome<Vetted> {
    directory(dir)?;
    let vetter = Vetter::own().or_fail(|| "cannot find this program".to_owned())?;
    vetter.vet_draft(dir, &version.limits()).map_err(|error| Failure::new(error.to_string()))
}
