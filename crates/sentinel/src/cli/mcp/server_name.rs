//! A name for a server that has none.

/// The longest name that is made up.
const LONGEST: usize = 24;
/// A name for what a client calls `text`: lower-case letters, digits and single hyphens.
pub(crate) fn of_text(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars().map(|c| c.to_ascii_lowercase()) {
        match c {
            'a'..='z' | '0'..='9' => name.push(c),
            _ if !name.is_empty() && !name.ends_with('-') => name.push('-'),
            _ => {}
        }
        if name.len() == LONGEST {
            break;
        }
    }
    let name = name.trim_end_matches('-');
    if name.is_empty() { "server".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_becomes_a_name() {
        assert_eq!(of_text("GitHub (prod)__2"), "github-prod-2");
        assert_eq!(of_text("é"), "server");
        assert_eq!(of_text(&"a-".repeat(50)), "a-a-a-a-a-a-a-a-a-a-a-a");
        assert!(of_text("--x--").starts_with('x'));
    }
}
