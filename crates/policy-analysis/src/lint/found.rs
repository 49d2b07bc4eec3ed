//! Where the lints put what they find, and what they know of the rule at hand.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::{Finding, Lint};
use crate::syntax::depend::Path;
use crate::syntax::{File, Span};

/// The rules that build sets, and whether their members come from somewhere: from a variable, not
/// from a text of their own.
pub(crate) type Sets = BTreeMap<Path, bool>;

/// References whose type each rule checks in all of its bodies together.
pub(crate) type Checks = BTreeMap<Path, BTreeSet<String>>;

/// What is known while one rule is looked at.
pub(crate) struct Context<'c> {
    pub(super) package: &'c Path,
    pub(super) sets: &'c Sets,
    pub(super) checks: &'c Checks,
}

/// Where findings go.
pub(crate) struct Found<'f> {
    files: &'f [File],
    /// The file that is looked at.
    pub(super) file: &'f str,
    findings: Vec<Finding>,
}

impl<'f> Found<'f> {
    pub(super) fn new(files: &'f [File]) -> Self {
        Self { files, file: "", findings: Vec::new() }
    }

    pub(super) fn into_findings(self) -> Vec<Finding> {
        self.findings
    }

    /// What is written at a place of the file that is looked at.
    pub(super) fn text(&self, span: Span) -> String {
        let file = self.files.iter().find(|file| file.source.file == self.file);
        let text = file.map_or("", |file| file.text(span));
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Adds a finding, unless it is there already.
    pub(super) fn add(&mut self, lint: Lint, span: Span, message: impl Into<String>) {
        let finding = Finding::new(lint, message).at(self.files, self.file, span);
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }
}
