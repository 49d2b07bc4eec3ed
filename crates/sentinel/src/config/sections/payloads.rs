//! Whether payloads are kept.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::problems::{Problem, Problems};
use crate::config::section::Section;
use crate::parts::payload_key;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Payloads {
    /// 32 random bytes in hexadecimal or base64 (`openssl rand -hex 32`), in a file that only its
    /// owner can read: wraps the keys with which the payloads of tenants are kept. Without it none
    /// are kept. When it is lost, so are they.
    pub(crate) payload_key_file: Option<PathBuf>,
}

impl Section for Payloads {
    type Built = Option<payload_key::Source>;

    fn build(&self, problems: &mut Problems) -> Option<Option<payload_key::Source>> {
        let Some(path) = &self.payload_key_file else { return Some(None) };
        let loaded = payload_key::load(path);
        problems
            .keep(loaded.map_err(|error| Problem::new(error.to_string(), error.fix())))
            .map(|_| Some(payload_key::Source::File(path.clone())))
    }
}
