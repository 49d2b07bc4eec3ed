//! From Go's regular expressions to Rust's. Nothing is passed on that the two may read differently.

use std::iter::Peekable;
use std::str::Chars;

use super::class;

/// Why an expression is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Go refuses it.
    Malformed,
    /// Go takes it, and it cannot be said in Rust's way for certain.
    Unsupported(&'static str),
}

/// Go's limit of a repetition, and of nested ones together.
const MAX_REPEAT: u32 = 1000;

/// Says an expression in Rust's way. What is malformed may be found only when it is compiled.
pub(super) fn translate(pattern: &str) -> Result<String, Refused> {
    let mut chars = pattern.chars().peekable();
    let mut text = String::with_capacity(pattern.len());
    let mut repeats = Vec::new();
    // Whether the last thing was a repetition, or an assertion.
    let (mut repeated, mut assertion) = (false, false);
    while let Some(c) = chars.next() {
        let (was_repeated, was_assertion) = (repeated, assertion);
        (repeated, assertion) = (false, false);
        match c {
            '*' | '+' | '?' => {
                repeat(was_repeated, was_assertion)?;
                text.push(c);
                repeated = true;
            }
            '{' => match count(&mut chars) {
                Some(count) => {
                    repeat(was_repeated, was_assertion)?;
                    repeats.push(largest(&count)?);
                    text.extend(["{", &count, "}"]);
                    repeated = true;
                }
                None => text.push_str("\\{"),
            },
            '(' => group(&mut chars, &mut text)?,
            '[' => class::translate(&mut chars, &mut text)?,
            '\\' => assertion = escape(&mut chars, &mut text)?,
            '}' | ']' => text.extend(['\\', c]),
            '^' | '$' => {
                text.push(c);
                assertion = true;
            }
            '.' | '|' | ')' => text.push(c),
            literal => push_literal(literal, &mut text),
        }
        // `*?` takes as little as it can.
        if repeated && chars.next_if_eq(&'?').is_some() {
            text.push('?');
        }
    }
    let all = repeats.iter().try_fold(1_u32, |all, count| all.checked_mul((*count).max(1)));
    match all {
        Some(all) if all <= MAX_REPEAT || repeats.len() < 2 => Ok(text),
        _ => Err(Refused::Unsupported("so large a repetition")),
    }
}

fn repeat(repeated: bool, assertion: bool) -> Result<(), Refused> {
    match (repeated, assertion) {
        (true, _) => Err(Refused::Malformed),
        (_, true) => Err(Refused::Unsupported("the repetition of an assertion")),
        _ => Ok(()),
    }
}

/// `2`, `2,` or `2,3` behind a brace, with the brace that closes it taken; otherwise nothing is.
fn count(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut ahead = chars.clone();
    let mut text = String::new();
    loop {
        match ahead.next()? {
            '}' => break,
            c if c.is_ascii_digit() || (c == ',' && !text.is_empty() && !text.contains(',')) => {
                text.push(c);
            }
            _ => return None,
        }
    }
    // A number with a zero in front of it makes all of it literal.
    let padded = |part: &str| part.len() > 1 && part.starts_with('0');
    if text.is_empty() || text.split(',').any(padded) {
        return None;
    }
    *chars = ahead;
    Some(text)
}

fn largest(count: &str) -> Result<u32, Refused> {
    let mut largest = 0;
    for part in count.split(',').filter(|part| !part.is_empty()) {
        match part.parse::<u32>() {
            Ok(number) if number <= MAX_REPEAT => largest = largest.max(number),
            _ => return Err(Refused::Malformed),
        }
    }
    Ok(largest)
}

/// Behind `(`: a plain group, a name, or flags that both know.
fn group(chars: &mut Peekable<Chars<'_>>, text: &mut String) -> Result<(), Refused> {
    text.push('(');
    if chars.next_if_eq(&'?').is_none() {
        return Ok(());
    }
    text.push('?');
    if chars.next_if_eq(&')').is_some() {
        // No flags at all are fine for Go.
        text.push_str(":)");
        return Ok(());
    }
    if chars.next_if_eq(&'P').is_some() {
        text.push('P');
        if chars.peek() != Some(&'<') {
            return Err(Refused::Malformed);
        }
    }
    if chars.next_if_eq(&'<').is_some() {
        text.push('<');
        let mut name = String::new();
        loop {
            match chars.next().ok_or(Refused::Malformed)? {
                '>' => break,
                c if c.is_ascii_alphanumeric() || c == '_' => name.push(c),
                _ => return Err(Refused::Malformed),
            }
        }
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(Refused::Unsupported("a group whose name begins with a digit"));
        }
        text.extend([&name, ">"]);
        return Ok(());
    }
    loop {
        match chars.next().ok_or(Refused::Malformed)? {
            c @ ('i' | 'm' | 's' | 'U' | '-') => text.push(c),
            c @ (':' | ')') => {
                text.push(c);
                return Ok(());
            }
            _ => return Err(Refused::Malformed),
        }
    }
}

/// Behind `\`, outside of a class. Whether it is an assertion.
fn escape(chars: &mut Peekable<Chars<'_>>, text: &mut String) -> Result<bool, Refused> {
    let c = *chars.peek().ok_or(Refused::Malformed)?;
    let class = match c {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        's' => "[\\t\\n\\x0C\\r ]",
        'S' => "[^\\t\\n\\x0C\\r ]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        'b' => "(?-u:\\b)",
        'A' => "\\A",
        'z' => "\\z",
        'B' => return Err(Refused::Unsupported("`\\B`")),
        'Q' | 'E' | 'C' => return Err(Refused::Unsupported("`\\Q`")),
        'p' | 'P' => {
            chars.next();
            category(c, chars, text)?;
            return Ok(false);
        }
        _ => {
            push_literal(escaped(chars)?, text);
            return Ok(false);
        }
    };
    chars.next();
    text.push_str(class);
    Ok(matches!(c, 'b' | 'A' | 'z'))
}

/// `\pL`, `\p{Lu}`: the categories that both have.
pub(super) fn category(
    p: char,
    chars: &mut Peekable<Chars<'_>>,
    text: &mut String,
) -> Result<(), Refused> {
    let mut name = String::new();
    match chars.next().ok_or(Refused::Malformed)? {
        '{' => loop {
            match chars.next().ok_or(Refused::Malformed)? {
                '}' => break,
                c => name.push(c),
            }
        },
        c => name.push(c),
    }
    const KNOWN: [&str; 8] = ["L", "M", "N", "P", "S", "Z", "Lu", "Ll"];
    if !KNOWN.contains(&name.as_str()) {
        return Err(Refused::Unsupported("that class of unicode"));
    }
    text.push_str(&format!("\\{p}{{{name}}}"));
    Ok(())
}

/// The character behind `\`: one of punctuation, of control, or by its number.
pub(super) fn escaped(chars: &mut Peekable<Chars<'_>>) -> Result<char, Refused> {
    Ok(match chars.next().ok_or(Refused::Malformed)? {
        'a' => '\u{7}',
        'f' => '\u{c}',
        't' => '\t',
        'n' => '\n',
        'r' => '\r',
        'v' => '\u{b}',
        'x' => hex(chars)?,
        c if c.is_ascii_punctuation() => c,
        '0'..='7' => return Err(Refused::Unsupported("an octal number")),
        _ => return Err(Refused::Malformed),
    })
}

fn hex(chars: &mut Peekable<Chars<'_>>) -> Result<char, Refused> {
    let braces = chars.next_if_eq(&'{').is_some();
    let mut digits = String::new();
    loop {
        match chars.next().ok_or(Refused::Malformed)? {
            '}' if braces => break,
            c if c.is_ascii_hexdigit() && digits.len() < 8 => digits.push(c),
            _ => return Err(Refused::Malformed),
        }
        if !braces && digits.len() == 2 {
            break;
        }
    }
    let number = u32::from_str_radix(&digits, 16).map_err(|_| Refused::Malformed)?;
    char::from_u32(number).ok_or(Refused::Malformed)
}

/// Whatever it means in Rust, it is meant literally.
pub(super) fn push_literal(c: char, text: &mut String) {
    if c.is_ascii_punctuation() && c != '_' && c != '<' && c != '>' {
        text.push('\\');
    }
    text.push(c);
}
