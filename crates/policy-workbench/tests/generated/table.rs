//! What was made, admitted and allowed, by construct and builtin.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::compare::Pairs;
use crate::text::Policy;
use crate::vetting::Verdict;

#[derive(Debug, Default, Clone)]
pub(crate) struct Row {
    pub(crate) made: usize,
    pub(crate) admitted: usize,
    /// Pairs that OPA allows and so does the engine.
    pub(crate) allowed: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) made: usize,
    pub(crate) admitted: usize,
    pub(crate) pairs: Pairs,
    pub(crate) rows: BTreeMap<String, Row>,
    /// By the codes of what vetting found.
    refused: BTreeMap<String, usize>,
    /// What OPA's compiler has against policies that vetting admits.
    pub(crate) not_compiled: BTreeMap<String, usize>,
    errors: BTreeMap<String, usize>,
}

impl Table {
    pub(crate) fn vetted(&mut self, policy: &Policy, verdict: &Verdict) {
        self.made += 1;
        let admitted = usize::from(*verdict == Verdict::Admitted);
        self.admitted += admitted;
        for tag in &policy.tags {
            let row = self.rows.entry(tag.clone()).or_default();
            row.made += 1;
            row.admitted += admitted;
        }
        if let Verdict::Refused(codes) = verdict {
            for code in codes.iter().collect::<std::collections::BTreeSet<_>>() {
                *self.refused.entry(code.chars().take(100).collect()).or_default() += 1;
            }
        }
    }

    pub(crate) fn compared(&mut self, policy: &Policy, pairs: &Pairs) {
        for tag in &policy.tags {
            self.rows.entry(tag.clone()).or_default().allowed += pairs.allowed;
        }
        for message in &pairs.messages {
            *self.errors.entry(message.clone()).or_default() += 1;
        }
        self.pairs.add(&Pairs { messages: Vec::new(), ..pairs.clone() });
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.made += other.made;
        self.admitted += other.admitted;
        self.pairs.add(&other.pairs);
        for (tag, row) in other.rows {
            let own = self.rows.entry(tag).or_default();
            own.made += row.made;
            own.admitted += row.admitted;
            own.allowed += row.allowed;
        }
        let both = [
            (&mut self.refused, other.refused),
            (&mut self.not_compiled, other.not_compiled),
            (&mut self.errors, other.errors),
        ];
        for (own, other) in both {
            for (name, count) in other {
                *own.entry(name).or_default() += count;
            }
        }
    }

    pub(crate) fn text(&self, refused_builtins: &BTreeMap<String, String>) -> String {
        let mut text = String::new();
        let pairs = &self.pairs;
        let _ = writeln!(text, "policies {}, admitted by vetting {}", self.made, self.admitted);
        let _ = writeln!(
            text,
            "pairs {}, flawed inputs {}, allowed in OPA {}, decided as calls {}, of these allowed {}",
            pairs.all, pairs.flawed, pairs.allowed_by_opa, pairs.decided, pairs.allowed
        );
        let _ = writeln!(
            text,
            "an error here and a value in OPA {}, errors in both {}",
            pairs.refused, pairs.failed_in_both
        );
        let _ = writeln!(
            text,
            "\n{:<52} {:>8} {:>8} {:>8}",
            "construct or builtin", "policies", "admitted", "allows"
        );
        for (tag, row) in &self.rows {
            let _ =
                writeln!(text, "{tag:<52} {:>8} {:>8} {:>8}", row.made, row.admitted, row.allowed);
        }
        let _ =
            writeln!(text, "\nbuiltins of OPA that vetting refuses, with literal arguments too");
        for (name, why) in refused_builtins {
            let _ = writeln!(text, "{name:<52} {why}");
        }
        lines(&mut text, "policies that vetting refused, by what it found", &self.refused);
        lines(
            &mut text,
            "policies that vetting admits and OPA's compiler refuses",
            &self.not_compiled,
        );
        lines(&mut text, "errors where OPA has a value, or none", &self.errors);
        text
    }
}

fn lines(text: &mut String, title: &str, counts: &BTreeMap<String, usize>) {
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let _ = writeln!(text, "\n{title}");
    for (name, count) in counts.into_iter().take(40) {
        let _ = writeln!(text, "{count:>8} {name}");
    }
}
