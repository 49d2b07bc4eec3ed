//! Shapes that the interpreter evaluates otherwise than OPA, each with a way around.

use crate::finding::Lint;
use crate::lint::found::Found;
use crate::lint::scope::call as named;
use crate::syntax::depend::{Path, path_of};
use crate::syntax::{Expr, File, Head, Literal, Query, Rule, Span};

/// The keywords that an import may bring in.
const KEYWORDS: [&str; 5] = ["in", "if", "contains", "every", "not"];

/// How a file's `not` treats what is undefined inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Negation {
    /// An undefined argument makes the whole condition undefined in OPA.
    OfCall,
    /// `import future.keywords.not`: `not` holds, in OPA as here.
    OfBody,
}

pub(crate) fn negation(file: &File) -> Negation {
    let bodies = file.ast.imports.iter().any(|import| {
        let path = import_path(&import.refr);
        matches!(path.as_slice(), [a, b, rest @ ..] if a == "future" && b == "keywords"
            && (rest.is_empty() || rest == ["not".to_owned()]))
    });
    if bodies { Negation::OfBody } else { Negation::OfCall }
}

fn import_path(refr: &Expr) -> Path {
    let (reference, _) = refr.reference();
    let steps = reference
        .iter()
        .flat_map(|reference| std::iter::once(reference.root.to_owned()).chain(reference.known()));
    steps.collect()
}

/// `import future.keywords.and`: it would be accepted, and mean nothing.
pub(crate) fn imports(file: &File, found: &mut Found<'_>) {
    for import in &file.ast.imports {
        let path = import_path(&import.refr);
        let (root, rest) = match path.split_first() {
            Some((root, rest)) if root == "future" || root == "rego" => (root, rest),
            _ => continue,
        };
        let known = match rest {
            [keywords] if root == "future" => keywords == "keywords",
            [keywords, name] if root == "future" => {
                keywords == "keywords" && KEYWORDS.contains(&name.as_str())
            }
            [version] => version == "v1",
            _ => false,
        };
        if !known {
            let span = import.refr.span().unwrap_or_default();
            let message = format!("`import {}` is not supported here", path.join("."));
            found.add(Lint::UnsupportedSyntax, span, message);
        }
    }
}

/// A body that only prints: OPA leaves `print` out, and an empty body always holds.
pub(crate) fn only_prints(query: &Query, found: &mut Found<'_>) {
    let printed = |literal: &Literal| match literal {
        Literal::Expr { expr } if named(expr).is_some_and(|(name, _)| name == "print") => {
            expr.span()
        }
        _ => None,
    };
    let spans: Option<Vec<Span>> =
        query.stmts.iter().map(|statement| printed(&statement.literal)).collect();
    if let Some([span, ..]) = spans.as_deref() {
        let message = "a body that only prints holds in OPA and not here; add `true` to it";
        found.add(Lint::DiffersFromOpa, *span, message);
    }
}

/// `walk(x, [path, value])` as a condition: the one use that is the same.
pub(crate) fn walk_statement(expr: &Expr) -> Option<&[Expr]> {
    named(expr).filter(|(name, params)| name == "walk" && params.len() == 2).map(|(_, all)| all)
}

/// Calls whose results, or some of them, are others.
pub(crate) fn call(expr: &Expr, found: &mut Found<'_>) {
    let Expr::Call { span, .. } = expr else { return };
    let Some((name, _)) = named(expr) else { return };
    let message = match name.as_str() {
        "walk" => {
            "the result of `walk` is a list here and one pair after the other in OPA; write \
             `walk(x, [path, value])` as a condition of its own"
        }
        "json.match_schema" => {
            "the errors that `json.match_schema` returns are others than OPA's; use \
             `json.match_schema(document, schema)[0]` or `[valid, _] := …`"
        }
        "yaml.unmarshal" | "yaml.is_valid" | "yaml.marshal" => {
            "YAML is read by other rules here than in OPA; have the caller pass JSON"
        }
        _ => return,
    };
    found.add(Lint::DiffersFromOpa, *span, message);
}

/// The arguments of `json.match_schema` where only its first result is used.
pub(crate) fn schema_match(expr: &Expr) -> Option<&[Expr]> {
    let matched = |expr: &'_ Expr| -> bool {
        named(expr).is_some_and(|(name, params)| name == "json.match_schema" && params.len() == 2)
    };
    let of = |expr| named(expr).map(|(_, params)| params);
    match expr {
        Expr::RefBrack { refr, index, .. } => {
            let first =
                matches!(index.as_ref(), Expr::Number { value } if value.as_i64() == Some(0));
            if first && matched(refr) { of(refr.as_ref()) } else { None }
        }
        Expr::Assign { lhs, rhs, .. } => match lhs.as_ref() {
            Expr::Array { items } => match items.as_slice() {
                [_, Expr::Var { value, .. }] if value == "_" && matched(rhs) => of(rhs.as_ref()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// `k, v in xs` as a condition: it never holds for sets here.
pub(crate) fn keyed_membership(expr: &Expr, found: &mut Found<'_>) {
    let Expr::Membership { span, key: Some(_), collection, .. } = expr else { return };
    if !matches!(collection.as_ref(), Expr::Array { .. } | Expr::Object { .. }) {
        let message = "`key, value in …` never holds for a set here; write `collection[key] == value`, \
                       or `some k, v in collection`";
        found.add(Lint::DiffersFromOpa, *span, message);
    }
}

/// `not { … }` where the import makes it a body.
pub(crate) fn negated_body(expr: &Expr, found: &mut Found<'_>) {
    if matches!(
        expr,
        Expr::Set { .. } | Expr::Object { .. } | Expr::SetCompr { .. } | Expr::ObjectCompr { .. }
    ) {
        let message = "`not { … }` with a body is not supported here; give the body a rule of its own \
                       and negate that";
        let first = expr.children().into_iter().find_map(Expr::span).unwrap_or_default();
        found.add(Lint::UnsupportedSyntax, first, message);
    }
}

/// A rule in whose name a variable comes before the last step, beside another below the same path:
/// one of the two is lost.
pub(crate) fn heads<'f>(files: &'f [File], found: &mut Found<'f>) {
    let mut all = Vec::new();
    for file in files {
        let package = path_of(&file.ast.package.refr);
        for rule in &file.ast.rules {
            let (refr, span, set) = match rule {
                Rule::Spec { head: Head::Set { refr, .. }, span, .. } => (refr, *span, true),
                Rule::Spec { head: Head::Compr { refr, .. }, span, .. }
                | Rule::Default { refr, span, .. } => (refr, *span, false),
                Rule::Spec { head: Head::Func { .. }, .. } => continue,
            };
            let (Some(reference), _) = refr.reference() else { continue };
            let known: Path = package
                .iter()
                .cloned()
                .chain([reference.root.to_owned()])
                .chain(reference.known())
                .collect();
            let dynamic = reference.dynamic().next().is_some();
            all.push((known, dynamic, set, file, span));
        }
    }
    for (path, _, set, file, span) in all.iter().filter(|(_, dynamic, ..)| *dynamic) {
        let beside = all.iter().any(|(other, other_dynamic, other_set, ..)| {
            other.starts_with(path)
                && other.len() > path.len()
                && (*set || *other_set)
                && !other_dynamic
        });
        if beside {
            found.file = &file.source.file;
            let message = "a rule whose name has a variable, beside one of the same path whose name has \
                           none: members are lost here; give them different names";
            found.add(Lint::DiffersFromOpa, *span, message);
        }
    }
}
