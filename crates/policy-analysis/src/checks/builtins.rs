//! Builtin functions: which may be called, and how ([`crate::checks::bounds`]), and which depend on
//! nothing but their arguments.

use crate::checks::bounds;
use crate::finding::{Finding, Lint};
use crate::interpreter::is_builtin;
use crate::syntax::File;
use crate::syntax::depend::{Call, Definition, Facts, Path};

/// Refuses calls without bound, and calls of functions that do not exist.
pub(crate) fn check(facts: &Facts<'_>, files: &[File]) -> Vec<Finding> {
    let mut known: Vec<(&str, &[Path])> = Vec::new();
    let mut findings = Vec::new();
    for call in &facts.calls {
        let refused = |lint, detail| Finding::new(lint, detail).at(files, call.file, call.span);
        let rule = is_rule(call, &facts.definitions);
        if let Some(detail) = read_otherwise(call, files) {
            findings.push(refused(Lint::DiffersFromOpa, detail));
        }
        if let Some(detail) = bounds::refused(call, &facts.definitions) {
            findings.push(refused(Lint::UnboundedBuiltin, detail));
        }
        if call.params.is_none() || known.contains(&(call.name.as_str(), &call.targets)) {
            continue;
        }
        if rule {
            known.push((&call.name, &call.targets));
            continue;
        }
        if is_builtin(&call.name) {
            known.push((&call.name, &call.targets));
            let unlisted = bounds::unlisted(&call.name);
            findings.extend(unlisted.map(|detail| refused(Lint::UnboundedBuiltin, detail)));
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

/// Why a call is one here and something else in OPA.
fn read_otherwise(call: &Call<'_>, files: &[File]) -> Option<String> {
    let name = call.params.map(|_| &call.name)?;
    let source = files.iter().map(|file| &file.source).find(|source| source.file == call.file);
    let behind = source.zip(call.end).and_then(|(source, end)| source.contents.get(end..));
    let directly = behind.is_some_and(|text| text.starts_with('('));
    (!directly).then(|| {
        format!(
            "`{name}` and the `(` apart from it are a call here and two conditions in OPA; write \
             `{name}(` for a call, and begin no line with `(` otherwise"
        )
    })
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

fn is_rule(call: &Call<'_>, definitions: &[Definition<'_>]) -> bool {
    definitions.iter().any(|definition| call.targets.contains(&definition.path))
}
