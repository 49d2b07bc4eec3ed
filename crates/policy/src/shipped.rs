//! The policy that is compiled into the program, from the folder `policies/shipped/`.

use sentinel_policy_analysis::{AnalysisError, PolicySource, Vetted};

macro_rules! files {
    ($($path:literal),+ $(,)?) => {
        [$(($path, include_str!(concat!("../../../policies/shipped/", $path)))),+]
    };
}

const FILES: [(&str, &str); 3] =
    files!["data.json", "sentinel/policy.rego", "sentinel/policy_test.rego"];

/// The shipped policy. It needs no vetting: it is part of the program, and tested with it.
///
/// # Errors
/// None that a build with passing tests can have.
pub fn shipped() -> Result<Vetted, AnalysisError> {
    PolicySource::from_files(FILES).map(Vetted::trusted)
}
