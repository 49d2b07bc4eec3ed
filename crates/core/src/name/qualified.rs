//! Names of what MCP servers offer, as the registry, policies and clients of the gateway see them.
//!
//! Clients accept only `[A-Za-z0-9_-]` and 64 characters, and some fold letter case and separators.
//! A name outside these rules becomes a short form: what is readable of it, and a hash of the whole.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::{NameError, NameErrorKind, ToolName, is_deceptive, lookalike};

/// Separates the name of an upstream, which contains no `_`, from that of its tool.
pub const SEPARATOR: &str = "__";

/// The longest name that every client accepts.
const LONGEST: usize = 64;
/// The longest name that is read at all. MCP allows 128 characters.
const LONGEST_FOREIGN: usize = 512;
/// The longest name of an upstream: it leaves room for a short form.
const LONGEST_UPSTREAM: usize = 32;
/// Hexadecimal digits of the hash in a short form.
const DIGITS: usize = 12;

/// The name of `tool` of `upstream` in the registry: `upstream__tool`, or a short form of it.
///
/// # Errors
/// When `tool` is empty, far too long, or has characters that pass for others or for none; or when
/// `upstream` is not the name of an upstream.
pub fn qualified(upstream: &str, tool: &str) -> Result<ToolName, NameError> {
    check_upstream(upstream)?;
    format!("{upstream}{SEPARATOR}{}", fitted(tool, LONGEST - upstream.len() - SEPARATOR.len())?)
        .parse()
}

/// The name of `tool` where clients see only the tools of one upstream: unchanged where every
/// client accepts it, otherwise a short form.
///
/// # Errors
/// As [`qualified`].
pub fn unqualified(tool: &str) -> Result<String, NameError> {
    fitted(tool, LONGEST)
}

/// The name of an upstream and the rest, of a name that [`qualified`] made.
#[must_use]
pub fn split_qualified(name: &str) -> Option<(&str, &str)> {
    name.split_once(SEPARATOR)
}

/// What clients may confuse, folded: letter case and all separators.
#[must_use]
pub fn folded(name: &str) -> String {
    let fold = |c: char| match c {
        '.' | '-' | '/' => '_',
        other => other.to_ascii_lowercase(),
    };
    name.chars().map(fold).collect()
}

fn check_upstream(upstream: &str) -> Result<(), NameError> {
    const NAME: &str = "upstream name";
    const ALLOWED: &str = "lowercase letters, digits and `-`";
    let foreign = |c: &char| !matches!(c, 'a'..='z' | '0'..='9' | '-');
    if upstream.is_empty() {
        return Err(NameError::whole(NAME, NameErrorKind::Empty));
    }
    if upstream.len() > LONGEST_UPSTREAM {
        return Err(NameError::whole(NAME, NameErrorKind::TooLong { limit: LONGEST_UPSTREAM }));
    }
    upstream.chars().find(foreign).map_or(Ok(()), |found| {
        Err(NameError::whole(NAME, NameErrorKind::Character { found, allowed: ALLOWED }))
    })
}

/// `name` itself when it fits, or its short form.
fn fitted(name: &str, longest: usize) -> Result<String, NameError> {
    check_honest(name)?;
    let plain = name.chars().all(is_plain);
    // The registry wants a letter or digit at the end.
    let ends_well = name.ends_with(|c: char| c.is_ascii_alphanumeric());
    if plain && ends_well && name.len() <= longest {
        return Ok(name.to_owned());
    }
    Ok(short_form(name, longest))
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

/// Refuses what is made to be taken for another name.
fn check_honest(name: &str) -> Result<(), NameError> {
    const NAME: &str = "tool name";
    if name.trim().is_empty() {
        return Err(NameError::whole(NAME, NameErrorKind::Empty));
    }
    for (position, found) in name.chars().enumerate() {
        if position >= LONGEST_FOREIGN {
            return Err(NameError::whole(NAME, NameErrorKind::TooLong { limit: LONGEST_FOREIGN }));
        }
        if found.is_control() || is_deceptive(found) {
            let kind = NameErrorKind::Character { found, allowed: "visible characters" };
            return Err(NameError::at(NAME, position, kind));
        }
        let looks_like = if found.is_ascii() { None } else { lookalike(found) };
        if looks_like.is_some() {
            return Err(NameError::at(
                NAME,
                position,
                NameErrorKind::NotAscii { found, looks_like },
            ));
        }
    }
    Ok(())
}

fn short_form(name: &str, longest: usize) -> String {
    let stem = longest.saturating_sub(DIGITS + 1);
    let mut short = String::with_capacity(longest);
    for c in name.chars().map(|c| if is_plain(c) { c } else { '-' }) {
        if short.len() >= stem {
            break;
        }
        if c != '-' || !(short.is_empty() || short.ends_with('-')) {
            short.push(c);
        }
    }
    short.truncate(short.trim_end_matches(['-', '_']).len());
    if !short.is_empty() {
        short.push('-');
    }
    for byte in Sha256::digest(name).iter().take(DIGITS / 2) {
        // Writing to a string does not fail.
        let _ = write!(short, "{byte:02x}");
    }
    short
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("files", "read_file", "files__read_file")]
    #[case("files", "_private", "files___private")]
    #[case("a-b", "c__d", "a-b__c__d")]
    fn keeps_names_that_every_client_accepts(
        #[case] upstream: &str,
        #[case] tool: &str,
        #[case] expected: &str,
    ) {
        assert_eq!(qualified(upstream, tool).unwrap().as_str(), expected);
    }

    #[rstest]
    #[case("browser.click", "browser-click-")]
    #[case("fs/read", "fs-read-")]
    #[case("trailing_", "trailing-")]
    #[case("查询", "")]
    #[case("a  b", "a-b-")]
    fn shortens_names_that_some_client_refuses(#[case] tool: &str, #[case] stem: &str) {
        let name = unqualified(tool).unwrap();
        let digits = name.strip_prefix(stem).expect("begins with what can be read of it");
        assert_eq!(digits.len(), DIGITS);
        assert!(digits.chars().all(|c| c.is_ascii_hexdigit()));
    }

    #[rstest]
    #[case::cyrillic_a("re\u{0430}d_file")]
    #[case::fullwidth("ｒead")]
    #[case::zero_width("read\u{200B}file")]
    #[case::right_to_left("read\u{202E}elif")]
    #[case::line("read\nfile")]
    #[case::empty("")]
    #[case::blank("  ")]
    #[case::endless(&"a".repeat(513))]
    fn refuses_names_that_pass_for_others(#[case] tool: &str) {
        assert!(qualified("files", tool).is_err());
        assert!(unqualified(tool).is_err());
    }

    #[rstest]
    #[case("")]
    #[case("Files")]
    #[case("my_files")]
    #[case(&"a".repeat(33))]
    fn refuses_what_is_not_the_name_of_an_upstream(#[case] upstream: &str) {
        assert!(qualified(upstream, "read").is_err());
    }

    proptest! {
        #[test]
        fn fits_every_client(upstream in "[a-z0-9][a-z0-9-]{0,31}", tool in "\\PC{1,200}") {
            if let Ok(name) = qualified(&upstream, &tool) {
                prop_assert!(name.as_str().len() <= LONGEST);
                prop_assert!(name.as_str().chars().all(is_plain));
                prop_assert_eq!(split_qualified(name.as_str()).unwrap().0, upstream);
            }
        }

        #[test]
        fn every_name_of_mcp_is_accepted(tool in "[A-Za-z0-9_./-]{0,127}[A-Za-z0-9]") {
            prop_assert!(qualified("up", &tool).is_ok());
            prop_assert!(unqualified(&tool).is_ok());
        }

        #[test]
        fn different_tools_have_different_names(
            tools in prop::collection::hash_set("[ab_./é-]{1,6}|x{55,70}[./]{0,2}", 2..60)
        ) {
            let mut of_name = HashMap::new();
            for tool in &tools {
                let name = qualified("up", tool).unwrap();
                prop_assert_eq!(of_name.insert(name, tool), None);
            }
        }
    }
}
