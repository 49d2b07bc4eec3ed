//! Builtin functions that no time limit stops, since the interpreter looks at the clock only
//! between steps: a range whose end is large takes all memory, a unit whose exponent is large is
//! worked out for minutes. They may be used with literal arguments that are small, or not at all.

use regorus::Engine;

use crate::ast::{Expr, File};
use crate::depend::{Call, Definition, Facts, Path};
use crate::finding::{Finding, Lint};

const MAX_RANGE: i64 = 10_000;
const MAX_SHIFT: i64 = 256;

/// Refuses calls without bound, and calls of functions that do not exist.
pub(crate) fn check(facts: &Facts<'_>, files: &[File]) -> Vec<Finding> {
    let mut known: Vec<(&str, &[Path])> = Vec::new();
    let mut findings = Vec::new();
    for call in &facts.calls {
        let refused = |lint, detail| Finding::new(lint, detail).at(files, call.file, call.span);
        if let Some(detail) = unbounded(call) {
            findings.push(refused(Lint::UnboundedBuiltin, detail));
        }
        if call.params.is_none() || known.contains(&(call.name.as_str(), &call.targets)) {
            continue;
        }
        if is_rule(call, &facts.definitions) || is_builtin(&call.name) {
            known.push((&call.name, &call.targets));
            continue;
        }
        let detail = format!("there is no function `{}`", call.name);
        findings.push(if REFUSED.iter().any(|family| call.name.starts_with(family)) {
            refused(Lint::RefusedBuiltin, format!("{detail} here"))
        } else {
            refused(Lint::UnknownFunction, detail)
        });
    }
    findings
}

/// Functions of OPA that reach out of the policy, or that the interpreter leaves out.
const REFUSED: [&str; 9] = [
    "http.",
    "opa.",
    "net.lookup_ip_addr",
    "io.jwt.",
    "crypto.",
    "rego.",
    "graphql.",
    "providers.",
    "net.cidr_merge",
];

/// Why the call is refused.
fn unbounded(call: &Call<'_>) -> Option<String> {
    let name = call.name.as_str();
    let wants = match (name, call.params) {
        ("numbers.range", Some([from, to])) => {
            (!small_range(from, to)).then(|| format!("at most {MAX_RANGE} apart, as literals"))
        }
        ("numbers.range_step", Some([from, to, step])) => {
            let bounded = small_range(from, to) && integer(step).is_some_and(|step| step > 0);
            (!bounded).then(|| format!("at most {MAX_RANGE} apart, as literals"))
        }
        ("bits.lsh", Some([_, shift])) => {
            let bounded = integer(shift).is_some_and(|shift| (0..=MAX_SHIFT).contains(&shift));
            (!bounded).then(|| format!("a literal shift of at most {MAX_SHIFT}"))
        }
        ("units.parse" | "units.parse_bytes", Some([unit])) => {
            (!small_unit(unit)).then(|| "a literal without an exponent".to_owned())
        }
        (
            "numbers.range"
            | "numbers.range_step"
            | "bits.lsh"
            | "units.parse"
            | "units.parse_bytes"
            | "net.cidr_expand"
            | "graph.reachable_paths",
            _,
        ) => Some("no use at all here".to_owned()),
        _ => None,
    }?;
    Some(format!("`{name}` cannot be interrupted; it allows {wants}"))
}

/// Whether what is called depends on nothing but its arguments: a rule does if everything it calls
/// does, a function of the interpreter if it is listed here.
pub(crate) fn is_pure(call: &Call<'_>, definitions: &[Definition<'_>]) -> bool {
    let pure = PURE.iter().any(|name| match name.strip_suffix('*') {
        Some(family) => call.name.starts_with(family),
        None => call.name == *name,
    });
    pure || is_rule(call, definitions)
}

const PURE: [&str; 48] = [
    "abs",
    "array.*",
    "base64.*",
    "base64url.*",
    "bits.*",
    "ceil",
    "concat",
    "contains",
    "count",
    "endswith",
    "floor",
    "format_int",
    "glob.*",
    "graph.*",
    "hex.*",
    "indexof",
    "indexof_n",
    "intersection",
    "is_array",
    "is_boolean",
    "is_null",
    "is_number",
    "is_object",
    "is_set",
    "is_string",
    "json.*",
    "lower",
    "max",
    "min",
    "net.cidr_contains",
    "numbers.*",
    "object.*",
    "product",
    "regex.*",
    "replace",
    "round",
    "sort",
    "split",
    "sprintf",
    "startswith",
    "strings.*",
    "substring",
    "sum",
    "to_number",
    "trim",
    "trim_*",
    "union",
    "upper",
];

fn integer(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Number { value } => value.as_i64(),
        Expr::Unary { expr } => integer(expr)?.checked_neg(),
        _ => None,
    }
}

fn small_range(from: &Expr, to: &Expr) -> bool {
    integer(from)
        .zip(integer(to))
        .and_then(|(from, to)| to.checked_sub(from))
        .is_some_and(|span| span.checked_abs().is_some_and(|span| span <= MAX_RANGE))
}

fn small_unit(expr: &Expr) -> bool {
    let (Expr::String { value } | Expr::RawString { value }) = expr else { return false };
    // `1E` is an exa; `1E5` has an exponent.
    let exponent = value.to_ascii_lowercase().split_once('e').is_some_and(|(_, rest)| {
        rest.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-'))
    });
    value.len() <= 32 && !exponent
}

fn is_rule(call: &Call<'_>, definitions: &[Definition<'_>]) -> bool {
    definitions.iter().any(|definition| call.targets.contains(&definition.path))
}

/// The interpreter does not list its functions, but it says when it knows none of a name.
pub(crate) fn is_builtin(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    if !name.chars().all(plain) {
        return false;
    }
    let mut engine = Engine::new();
    engine.set_gather_prints(true);
    match engine.eval_query(format!("{name}()"), false) {
        Ok(_) => true,
        Err(error) => !error.to_string().contains("could not find function"),
    }
}
