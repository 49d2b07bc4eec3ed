//! `glob.match`: patterns as OPA reads them, matched by following all possibilities at once, so
//! that the time is bounded by the length of the pattern times that of the text.

use regorus::Value;

use super::function::{Outcome, Unsupported, string};

/// Steps times characters, some tens of milliseconds.
const MAX_WORK: usize = 10_000_000;
const MAX_DEPTH: usize = 32;
const SPECIAL: [char; 7] = ['*', '?', '\\', '[', ']', '{', '}'];

/// One step of a pattern; the next one follows unless it says otherwise.
#[derive(Debug)]
enum Step {
    Char(char),
    /// Any character but a separator.
    One,
    Class {
        not: bool,
        members: Members,
    },
    /// Any number of characters: all, or all but separators.
    Many {
        all: bool,
    },
    /// Any of these steps may be next.
    Fork(Vec<usize>),
    /// This step is next.
    Jump(usize),
}

#[derive(Debug)]
enum Members {
    Range(char, char),
    Set(Vec<char>),
}

pub(super) fn matches(args: &[Value]) -> Outcome {
    let (Some(pattern), Some(text)) = (string(args.first()), string(args.get(2))) else {
        return Ok(Value::Undefined);
    };
    let separators = match args.get(1) {
        Some(Value::Null) => Vec::new(),
        Some(Value::Array(list)) => {
            let chars = list.iter().map(|item| {
                let mut chars = string(Some(item))?.chars();
                chars.next().filter(|_| chars.next().is_none())
            });
            let Some(chars) = chars.collect::<Option<Vec<char>>>() else {
                return Ok(Value::Undefined);
            };
            if chars.is_empty() { vec!['.'] } else { chars }
        }
        _ => return Ok(Value::Undefined),
    };
    let mut steps = Vec::new();
    let mut chars: Vec<char> = pattern.chars().collect();
    chars.reverse();
    match sequence(&mut chars, &mut steps, 0)? {
        Some(End::Text) => {}
        _ => return Ok(Value::Undefined),
    }
    if steps.len().saturating_mul(text.len()) > MAX_WORK {
        return Err(Unsupported::new("glob.match", "the pattern and the text are too long"));
    }
    Ok(Value::from(run(&steps, text, &separators)))
}

/// `glob.quote_meta`.
pub(super) fn quote_meta(args: &[Value]) -> Outcome {
    let Some(text) = string(args.first()) else { return Ok(Value::Undefined) };
    let mut quoted = String::with_capacity(text.len());
    for c in text.chars() {
        if SPECIAL.contains(&c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    Ok(Value::from(quoted))
}

/// What a sequence of terms ended with.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Text,
    Comma,
    Close,
}

/// Takes terms from the end of `chars`; `None` when the pattern is malformed.
fn sequence(
    chars: &mut Vec<char>,
    steps: &mut Vec<Step>,
    depth: usize,
) -> Result<Option<End>, Unsupported> {
    if depth > MAX_DEPTH {
        return Err(Unsupported::new("glob.match", "alternatives are nested too deeply"));
    }
    while let Some(c) = chars.pop() {
        match c {
            ',' if depth > 0 => return Ok(Some(End::Comma)),
            '}' if depth > 0 => return Ok(Some(End::Close)),
            '?' => steps.push(Step::One),
            '*' => {
                let all = chars.last() == Some(&'*');
                if all {
                    chars.pop();
                }
                steps.push(Step::Many { all });
            }
            '[' => match class(chars) {
                Some(class) => steps.push(class),
                None => return Ok(None),
            },
            '{' => {
                if !alternatives(chars, steps, depth)? {
                    return Ok(None);
                }
            }
            '\\' => match chars.pop() {
                Some(c) => steps.push(Step::Char(c)),
                None => return Ok(None),
            },
            c => steps.push(Step::Char(c)),
        }
    }
    Ok(Some(End::Text))
}

/// `{a,b}`, behind its brace; false when it is malformed.
fn alternatives(
    chars: &mut Vec<char>,
    steps: &mut Vec<Step>,
    depth: usize,
) -> Result<bool, Unsupported> {
    let fork = steps.len();
    steps.push(Step::Fork(Vec::new()));
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    loop {
        starts.push(steps.len());
        let end = sequence(chars, steps, depth + 1)?;
        ends.push(steps.len());
        steps.push(Step::Jump(0));
        match end {
            Some(End::Comma) => {}
            Some(End::Close) => break,
            _ => return Ok(false),
        }
    }
    let next = steps.len();
    for end in ends {
        if let Some(step) = steps.get_mut(end) {
            *step = Step::Jump(next);
        }
    }
    if let Some(step) = steps.get_mut(fork) {
        *step = Step::Fork(starts);
    }
    Ok(true)
}

/// `[a-c]`, `[abc]`, `[!abc]`, behind the bracket.
fn class(chars: &mut Vec<char>) -> Option<Step> {
    let not = chars.last() == Some(&'!');
    if not {
        chars.pop();
    }
    let first = chars.pop()?;
    if chars.last() == Some(&'-') {
        chars.pop();
        let last = chars.pop()?;
        let closed = chars.pop()? == ']' && first <= last;
        return closed.then_some(Step::Class { not, members: Members::Range(first, last) });
    }
    chars.push(first);
    let mut set = Vec::new();
    loop {
        match chars.pop()? {
            ']' => break,
            '\\' => set.push(chars.pop()?),
            c => set.push(c),
        }
    }
    (!set.is_empty()).then_some(Step::Class { not, members: Members::Set(set) })
}

/// Where the pattern may be: each step once.
struct Places {
    list: Vec<usize>,
    seen: Vec<bool>,
}

impl Places {
    fn new(steps: usize) -> Self {
        Self { list: Vec::new(), seen: vec![false; steps + 1] }
    }

    fn clear(&mut self) {
        self.list.clear();
        self.seen.fill(false);
    }

    /// Adds a place, and all that are reached from it without a character.
    fn add(&mut self, steps: &[Step], at: usize) {
        let mut open = vec![at];
        while let Some(at) = open.pop() {
            if std::mem::replace(self.seen.get_mut(at).unwrap_or(&mut true), true) {
                continue;
            }
            self.list.push(at);
            match steps.get(at) {
                Some(Step::Fork(next)) => open.extend(next),
                Some(Step::Jump(next)) => open.push(*next),
                Some(Step::Many { .. }) => open.push(at + 1),
                _ => {}
            }
        }
    }
}

fn run(steps: &[Step], text: &str, separators: &[char]) -> bool {
    let (mut now, mut next) = (Places::new(steps.len()), Places::new(steps.len()));
    now.add(steps, 0);
    for c in text.chars() {
        next.clear();
        let free = !separators.contains(&c);
        for at in &now.list {
            match steps.get(*at) {
                Some(Step::Char(wanted)) if *wanted == c => next.add(steps, at + 1),
                Some(Step::One) if free => next.add(steps, at + 1),
                Some(Step::Class { not, members }) if holds(members, c) != *not => {
                    next.add(steps, at + 1);
                }
                Some(Step::Many { all }) if *all || free => next.add(steps, *at),
                _ => {}
            }
        }
        std::mem::swap(&mut now, &mut next);
        if now.list.is_empty() {
            return false;
        }
    }
    now.list.contains(&steps.len())
}

fn holds(members: &Members, c: char) -> bool {
    match members {
        Members::Range(first, last) => (first..=last).contains(&&c),
        Members::Set(set) => set.contains(&c),
    }
}
