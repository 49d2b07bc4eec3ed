//! Syntax of OPA that the interpreter does not know: named, where its own complaint would be about
//! something else.

use crate::finding::{Finding, Lint};
use crate::syntax::Span;

/// What a file that cannot be parsed has of such syntax, at the first place.
pub(super) fn find(file: &str, text: &str) -> Option<Finding> {
    let code = code(text);
    let found = interpolation(&code).or_else(|| operator(&code));
    let (start, length, message) = found?;
    let line = text.get(..start)?.matches('\n').count() + 1;
    let span =
        Span { line: u32::try_from(line).unwrap_or(u32::MAX), col: 1, start, end: start + length };
    Some(Finding::new(Lint::UnsupportedSyntax, message).in_text(file, text, span))
}

/// The text with blanks in place of comments, and of what is between quotation marks.
fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut quote = None;
    let mut escaped = false;
    for c in text.chars() {
        let hidden = match quote {
            Some('#') => {
                quote = (c != '\n').then_some('#');
                c != '\n'
            }
            Some(open) => {
                let ends = c == open && !escaped;
                escaped = open == '"' && c == '\\' && !escaped;
                quote = (!ends).then_some(open);
                !ends && c != '\n'
            }
            None => {
                quote = Some(c).filter(|c| matches!(c, '"' | '`' | '#'));
                c == '#'
            }
        };
        if hidden {
            code.extend(std::iter::repeat_n(' ', c.len_utf8()));
        } else {
            code.push(c);
        }
    }
    code
}

type Place = (usize, usize, String);

fn interpolation(code: &str) -> Option<Place> {
    let start = ["$\"", "$`"].iter().filter_map(|sign| code.find(sign)).min()?;
    let message = "texts with values in them (`$\"…{x}…\"`) are not supported; use `sprintf` or \
                   `concat`";
    Some((start, 1, message.to_owned()))
}

/// `x and y`, where an import makes it an operator.
fn operator(code: &str) -> Option<Place> {
    let imports = |name: &str| {
        code.lines().any(|line| {
            let path: String = line.split_whitespace().skip(1).collect();
            line.trim_start().starts_with("import ") && path == name
        })
    };
    let all = imports("future.keywords") || imports("rego.v2");
    let operators = [("and", "future.keywords.and"), ("or", "future.keywords.or")];
    for (word, import) in operators {
        if all || imports(import) {
            let start = code.find(&format!(" {word} ")).map(|at| at + 1);
            if let Some(start) = start {
                let message = format!(
                    "`{word}` between conditions is not supported; give each alternative a rule of \
                     its own"
                );
                return Some((start, word.len(), message));
            }
        }
    }
    let body = code.find("not {").filter(|_| all || imports("future.keywords.not"))?;
    let message = "`not { … }` with a body is not supported; give the body a rule of its own and \
                   negate that";
    Some((body, 3, message.to_owned()))
}
