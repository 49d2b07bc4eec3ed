//! Classes of characters: `[a-z\d]`.

use std::iter::Peekable;
use std::str::Chars;

use super::translate::{Refused, category, escaped, push_literal};

/// Behind `[`.
pub(super) fn translate(chars: &mut Peekable<Chars<'_>>, text: &mut String) -> Result<(), Refused> {
    text.push('[');
    if chars.next_if_eq(&'^').is_some() {
        text.push('^');
    }
    let mut first = true;
    loop {
        let c = *chars.peek().ok_or(Refused::Malformed)?;
        match c {
            ']' if !first => {
                chars.next();
                text.push(']');
                return Ok(());
            }
            '[' if is_named(chars) => named(chars, text)?,
            '\\' if is_group(chars) => group(chars, text)?,
            _ => range(chars, text)?,
        }
        first = false;
    }
}

fn second(chars: &Peekable<Chars<'_>>) -> Option<char> {
    chars.clone().nth(1)
}

fn is_named(chars: &Peekable<Chars<'_>>) -> bool {
    second(chars) == Some(':')
}

/// `[:alpha:]`, `[:^alpha:]`: both have the same names, of ASCII.
fn named(chars: &mut Peekable<Chars<'_>>, text: &mut String) -> Result<(), Refused> {
    const NAMES: [&str; 14] = [
        "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
        "space", "upper", "word", "xdigit",
    ];
    let mut name = String::new();
    chars.nth(1);
    loop {
        match chars.next().ok_or(Refused::Unsupported("a class that begins with `[:`"))? {
            ':' => break,
            c => name.push(c),
        }
    }
    if chars.next() != Some(']') {
        return Err(Refused::Unsupported("a class with `[:`"));
    }
    if !NAMES.contains(&name.trim_start_matches('^')) || name.starts_with("^^") {
        return Err(Refused::Malformed);
    }
    text.extend(["[:", &name, ":]"]);
    Ok(())
}

fn is_group(chars: &Peekable<Chars<'_>>) -> bool {
    second(chars).is_some_and(|c| "dDsSwWpP".contains(c))
}

/// `\d` within a class.
fn group(chars: &mut Peekable<Chars<'_>>, text: &mut String) -> Result<(), Refused> {
    match chars.nth(1).ok_or(Refused::Malformed)? {
        'd' => text.push_str("0-9"),
        'D' => text.push_str("[^0-9]"),
        's' => text.push_str("\\t\\n\\x0C\\r "),
        'S' => text.push_str("[^\\t\\n\\x0C\\r ]"),
        'w' => text.push_str("0-9A-Za-z_"),
        'W' => text.push_str("[^0-9A-Za-z_]"),
        p => category(p, chars, text)?,
    }
    Ok(())
}

/// One character, or a range of them.
fn range(chars: &mut Peekable<Chars<'_>>, text: &mut String) -> Result<(), Refused> {
    let first = member(chars)?;
    let mut last = first;
    if chars.peek() == Some(&'-') && second(chars).is_some_and(|c| c != ']') {
        chars.next();
        if chars.peek() == Some(&'\\') && is_group(chars) {
            return Err(Refused::Malformed);
        }
        last = member(chars)?;
    }
    if last < first {
        return Err(Refused::Malformed);
    }
    push_literal(first, text);
    if last != first {
        text.push('-');
        push_literal(last, text);
    }
    Ok(())
}

fn member(chars: &mut Peekable<Chars<'_>>) -> Result<char, Refused> {
    match chars.next().ok_or(Refused::Malformed)? {
        '\\' => escaped(chars),
        c => Ok(c),
    }
}
