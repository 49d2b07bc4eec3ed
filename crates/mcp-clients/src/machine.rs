//! Where a user's configurations are on a machine.

use std::path::{Path, PathBuf};

/// An operating system, as far as places differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Os {
    Linux,
    MacOs,
}

/// The places of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    pub os: Os,
    pub home: PathBuf,
    /// `XDG_CONFIG_HOME`, when it is set.
    pub xdg_config: Option<PathBuf>,
    /// `CODEX_HOME`, when it is set.
    pub codex_home: Option<PathBuf>,
    /// The folder of the project whose configurations are meant, if any.
    pub project: Option<PathBuf>,
}

/// What a path is relative to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    Home,
    /// `~/.config` on both systems, or `XDG_CONFIG_HOME`.
    Config,
    /// Where applications keep what is theirs.
    Support,
    CodexHome,
    Project,
}

impl Base {
    pub(crate) fn on(self, machine: &Machine) -> Option<PathBuf> {
        let config = || machine.xdg_config.clone().unwrap_or_else(|| machine.home.join(".config"));
        match (self, machine.os) {
            (Self::Home, _) => Some(machine.home.clone()),
            (Self::Support, Os::MacOs) => Some(machine.home.join("Library/Application Support")),
            (Self::Config, _) | (Self::Support, Os::Linux) => Some(config()),
            (Self::CodexHome, _) => {
                let set = machine.codex_home.clone();
                Some(set.unwrap_or_else(|| machine.home.join(".codex")))
            }
            (Self::Project, _) => machine.project.clone(),
        }
    }
}

impl Machine {
    /// The machine that this process runs on; `None` when the user has no home.
    #[must_use]
    pub fn this(project: Option<&Path>) -> Option<Self> {
        let absolute = |name: &str| {
            let path = PathBuf::from(std::env::var_os(name)?);
            path.is_absolute().then_some(path)
        };
        Some(Self {
            os: if cfg!(target_os = "macos") { Os::MacOs } else { Os::Linux },
            home: absolute("HOME")?,
            xdg_config: absolute("XDG_CONFIG_HOME"),
            codex_home: absolute("CODEX_HOME"),
            project: project.map(Path::to_owned),
        })
    }
}
