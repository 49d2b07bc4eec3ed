//! Which version of Rego a file is in. It is stated, and never guessed: a text that is not sound v1
//! may be sound v0 and mean something else, such as `allow if {`, where v0 has a rule `allow`
//! without a condition and another one that is called `if`.
//!
//! What states the version of a file, the first that does: `import rego.v1` in it,
//! `file_rego_versions` and `rego_version` in the manifest, and who reads the policy (see
//! [`SourceLimits::v0_compatible`](crate::SourceLimits)), which is written into the manifest of
//! what is read. Without any of them it is v1.

use regorus::Engine;

use super::build::Include;
use super::error::InterpreterError;
use super::unknown_syntax;
use crate::error::AnalysisError;
use crate::finding::{Finding, Lint};
use crate::source::{MANIFEST, PolicySource};
use crate::syntax::{self, File, Head, Rule, Span};

/// Keywords that v0 has only where they are imported. They are imported in this order when it is
/// tried which of them a text lacks.
const KEYWORDS: [&str; 4] = ["in", "if", "contains", "every"];

/// Parses the files, each in its version.
pub(super) fn add(
    engine: &mut Engine,
    source: &PolicySource,
    include: Include,
) -> Result<(), AnalysisError> {
    let tests = (include == Include::PolicyAndTests).then_some(&source.tests);
    let (mut refused, mut older) = (Vec::new(), false);
    for (file, text) in source.rego.iter().chain(tests.into_iter().flatten()) {
        let version = source
            .manifest
            .rego_version_of(file)
            .map_err(|detail| AnalysisError::invalid(MANIFEST, &detail))?;
        older |= version == 0;
        if let Err(detail) = parse(engine, version, file, text) {
            refused.push(refusal(version, file, text, detail.as_str()));
        }
    }
    // What is asked of the engine later is v1, whatever the last file was.
    engine.set_rego_v0(false);
    if refused.is_empty() && older {
        let files = syntax::files(engine)?;
        let stated = |file: &File| source.manifest.rego_version_of(&file.source.file) == Ok(0);
        refused.extend(files.iter().filter(|file| stated(file)).flat_map(misread));
    }
    if refused.is_empty() { Ok(()) } else { Err(AnalysisError::Refused(refused)) }
}

/// The error is without the name of the file.
fn parse(engine: &mut Engine, version: u8, file: &str, text: &str) -> Result<(), InterpreterError> {
    engine.set_rego_v0(version == 0);
    let added = engine.add_policy(file.to_owned(), text.to_owned());
    added.map(drop).map_err(|error| InterpreterError::new(&error).without(file))
}

/// Why a text is refused, and what it would be instead.
fn refusal(version: u8, file: &str, text: &str, detail: &str) -> Finding {
    if let Some(named) = unknown_syntax::find(file, text) {
        return named;
    }
    let found = Finding::new(Lint::InvalidFile, detail).with_place_of(file, text, detail);
    if detail.contains("rule must have a body or assignment") {
        let message = "the rule has neither a body nor a value; the embedded engine does not take \
                       it as true";
        return Finding { lint: Lint::RuleWithoutBody, message: message.to_owned(), ..found };
    }
    let lacking = lacking(file, text);
    let message = &found.message;
    match (version, lacking) {
        (0, Some(keyword)) => Finding {
            message: format!("{message}; v0 has `{keyword}` only with `{}`", import(keyword)),
            ..found
        },
        (0, None) => found,
        (_, Some(keyword)) => Finding {
            lint: Lint::RegoVersion,
            message: format!(
                "not Rego v1: {message}; it would be v0 with `{}`, and v0 has to be stated",
                import(keyword)
            ),
            ..found
        },
        (_, None) if is_v0(file, text) => Finding {
            lint: Lint::RegoVersion,
            message: format!("not Rego v1: {message}; it would be v0, which has to be stated"),
            ..found
        },
        (_, None) => found,
    }
}

fn import(keyword: &str) -> String {
    format!("import future.keywords.{keyword}")
}

/// Whether a text is v0 that means what it seems to.
fn is_v0(file: &str, text: &str) -> bool {
    let mut engine = Engine::new();
    parse(&mut engine, 0, file, text).is_ok()
        && syntax::files(&engine)
            .is_ok_and(|files| files.iter().all(|file| misread(file).is_empty()))
}

/// The keyword that a text has to import to be v0.
fn lacking(file: &str, text: &str) -> Option<&'static str> {
    if text.contains("future.keywords") || is_v0(file, text) {
        return None;
    }
    KEYWORDS.into_iter().find(|keyword| {
        // On the line of the package, so that the lines keep their numbers.
        let mut imported = false;
        let lines = text.lines().map(|line| {
            if imported || !line.starts_with("package ") {
                return line.to_owned();
            }
            imported = true;
            let package = line.split('#').next().unwrap_or(line).trim_end();
            format!("{package} {}", import(keyword))
        });
        is_v0(file, &lines.collect::<Vec<_>>().join("\n"))
    })
}

/// What the interpreter takes in v0 and OPA does not, or both take as something else than it seems:
/// a name alone as a rule that always holds, and a keyword that is not imported as a name.
fn misread(file: &File) -> Vec<Finding> {
    let place = |lint, message: String, span: Span| {
        Finding::new(lint, message).in_text(&file.source.file, &file.source.contents, span)
    };
    let mut found = Vec::new();
    for rule in &file.ast.rules {
        let refr = match rule {
            Rule::Default { refr, .. } => refr,
            Rule::Spec { head, .. } => head.refr(),
        };
        let (Some(reference), _) = refr.reference() else { continue };
        if KEYWORDS.contains(&reference.root) {
            let keyword = reference.root;
            let message = format!(
                "`{keyword}` is a name here; v0 needs `{}` to have it as a keyword",
                import(keyword)
            );
            found.push(place(Lint::InvalidFile, message, reference.span));
        }
        if let Rule::Spec { head: Head::Compr { assign: None, .. }, bodies, .. } = rule
            && bodies.is_empty()
            && reference.steps.is_empty()
        {
            let message = format!("`{}` alone would be a rule that always holds", reference.root);
            found.push(place(Lint::RuleWithoutBody, message, reference.span));
        }
    }
    // The keyword that is missing explains the name in front of it.
    found.sort_by_key(|finding| finding.lint == Lint::RuleWithoutBody);
    found
}
