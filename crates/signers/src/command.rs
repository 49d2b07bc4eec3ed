//! Shell commands that are printed for users to paste. Paths are quoted, so that a command always
//! names the intended file. No command overwrites an existing file.

use std::path::Path;

/// A path as one word of a POSIX shell; `None` when it cannot be written in one line of text, so
/// that a command would name another file.
#[must_use]
pub fn shell_word(path: &Path) -> Option<String> {
    let text = path.to_str()?;
    if text.is_empty() || text.chars().any(is_unprintable) {
        return None;
    }
    // No option of the command.
    let before = if text.starts_with('-') { "./" } else { "" };
    Some(format!("'{before}{}'", text.replace('\'', r"'\''")))
}

/// Whether a terminal would not show the character as it is.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// A command that writes its output to a new file that only its owner can read. With `set -C`, the
/// shell refuses to overwrite an existing file.
#[must_use]
pub fn into_new_file(command: &str, path: &Path) -> String {
    match shell_word(path) {
        Some(path) => format!("(umask 077; set -C; {command} > {path})"),
        None => format!("(umask 077; set -C; {command} > new-key)"),
    }
}

/// Removes the access of other users to a file. The advice is in words if the name cannot be
/// pasted.
#[must_use]
pub fn owner_only(path: &Path, mode: &str) -> String {
    match shell_word(path) {
        Some(path) => format!("chmod {mode} {path}"),
        None => format!("take the rights of others away: mode {mode}"),
    }
}

/// Creates a directory for its owner only. The advice is in words if the name cannot be pasted.
#[must_use]
pub fn make_directory(path: &Path) -> String {
    match shell_word(path) {
        Some(path) => format!("mkdir -m 700 -p {path}"),
        None => "make that directory, with mode 700".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_word_names_the_file_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for name in
            ["a b", "it's", "$(touch pwned)", "`touch pwned`", "a\"b", "*", "a;b", "-rf", "ü"]
        {
            let path = Path::new(name);
            std::fs::write(dir.path().join(name), name).unwrap();
            let shell = format!("cat {}", shell_word(path).unwrap());
            let ran = Command::new("sh").args(["-c", &shell]).current_dir(&dir).output().unwrap();
            assert_eq!(String::from_utf8(ran.stdout).unwrap(), name, "{shell}");
        }
        assert!(!dir.path().join("pwned").exists());
    }

    #[test]
    fn what_cannot_be_pasted_is_in_no_command() {
        for name in [&b"a\nb"[..], b"a\xffb", b"", "a\u{202e}b".as_bytes(), b"a\x1b[31m"] {
            let path = Path::new(OsStr::from_bytes(name));
            assert_eq!(shell_word(path), None, "{name:?}");
            assert!(!owner_only(path, "600").starts_with("chmod"), "{name:?}");
        }
    }

    #[test]
    fn a_file_that_is_there_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("the key");
        let make = || {
            let shell = into_new_file("echo new", &path);
            Command::new("sh").args(["-c", &shell]).output().unwrap().status.success()
        };
        assert!(make());
        std::fs::write(&path, "old").unwrap();
        assert!(!make());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
    }
}
