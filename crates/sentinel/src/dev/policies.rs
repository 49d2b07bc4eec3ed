//! The policies that are shipped in the binary.

use std::io;
use std::path::Path;

use crate::failure::{OrFail as _, Outcome};

#[derive(rust_embed::RustEmbed)]
#[folder = "../../policies/shipped"]
struct Shipped;

/// What writing the shipped policies did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Materialised {
    pub(crate) written: Vec<String>,
    /// Files that were there and differ from the shipped ones; they were left alone.
    pub(crate) kept: Vec<String>,
}

/// Writes the shipped policies into `dir`, each file only when it is absent: what is there may be
/// the user's.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn materialise(dir: &Path) -> Outcome<Materialised> {
    let mut done = Materialised::default();
    for name in Shipped::iter() {
        let Some(file) = Shipped::get(&name) else { continue };
        let path = dir.join(&*name);
        let failed = || format!("cannot write `{}`", path.display());
        match std::fs::read(&path) {
            Ok(present) if present == *file.data => {}
            Ok(_) => done.kept.push(name.into_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if let Some(parent) = path.parent() {
                    std::fs::create_dir_all(parent).or_fail(failed)?;
                }
                std::fs::write(&path, &file.data).or_fail(failed)?;
                done.written.push(name.into_owned());
            }
            Err(error) => return Err(error).or_fail(failed),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_user_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let first = materialise(dir.path()).unwrap();
        assert!(first.written.iter().any(|name| name.ends_with(".rego")), "{first:?}");
        assert_eq!(materialise(dir.path()).unwrap(), Materialised::default());
        let changed = &first.written[0];
        std::fs::write(dir.path().join(changed), "mine").unwrap();
        let again = materialise(dir.path()).unwrap();
        assert_eq!((again.written.len(), &again.kept), (0, &vec![changed.clone()]));
        assert_eq!(std::fs::read_to_string(dir.path().join(changed)).unwrap(), "mine");
    }
}
