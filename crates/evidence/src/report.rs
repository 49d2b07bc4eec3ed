//! The report that people read: one page of HTML without scripts, fonts or anything from elsewhere.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sentinel_api::Decision;
use uuid::Uuid;

use crate::layout::{About, DECISIONS, bundle_file};
use crate::tally::Tally;
use crate::{Error, Spool};

/// Decisions that are shown; all of them are in the archive.
const MAX_ROWS: u64 = 10_000;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;\
    padding:0 1rem;color:#1a1a1a}table{border-collapse:collapse;width:100%;margin:1rem 0}\
    th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #ddd;vertical-align:top}\
    th{background:#f4f4f4}.allow{color:#0a6b2d}.deny{color:#b00020}code{font-size:.85em}\
    td.n{text-align:right;font-variant-numeric:tabular-nums}";

/// Gathers what the report says, one decision after the other.
#[derive(Debug)]
pub struct Report {
    rows: Spool,
    shown: u64,
    allowed: u64,
    denied: u64,
    who: Tally,
    tools: Tally,
    codes: Tally,
}

impl Report {
    /// A report of nothing so far.
    ///
    /// # Errors
    /// When there is no place for temporary files.
    pub fn new() -> Result<Self, Error> {
        Ok(Self {
            rows: Spool::new()?,
            shown: 0,
            allowed: 0,
            denied: 0,
            who: Tally::default(),
            tools: Tally::default(),
            codes: Tally::default(),
        })
    }

    /// Takes the next decision, and the manifests that point to it.
    ///
    /// # Errors
    /// When it cannot be written to a temporary file.
    pub fn decision(
        &mut self,
        decision: &Decision,
        manifests: &BTreeMap<Uuid, Vec<Uuid>>,
    ) -> Result<(), Error> {
        let allowed = decision.is_allowed();
        if allowed {
            self.allowed += 1;
        } else {
            self.denied += 1;
        }
        self.who.count(who(decision), allowed);
        self.tools.count(decision.tool.as_str(), allowed);
        self.codes.count(decision.code.as_str(), allowed);
        if self.shown >= MAX_ROWS {
            return Ok(());
        }
        self.shown += 1;
        let mut row = String::from("<tr>");
        let verdict = decision.decision.as_str();
        let at = decision.created_at.to_string();
        let texts = [
            at.as_str(),
            decision.agent.as_ref().map_or("", |agent| agent.as_str()),
            &decision.principal,
            decision.tool.as_str(),
            decision.action.as_str(),
            decision.purpose.as_ref().map_or("", |purpose| purpose.as_str()),
        ];
        for text in texts {
            // Writing to a string does not fail.
            let _ = write!(row, "<td>{}</td>", escaped(text));
        }
        let _ = write!(row, "<td class={verdict}>{verdict}</td>");
        let why = escaped(&decision.reason);
        let _ = write!(row, "<td><code>{}</code> {why}</td><td>", escaped(decision.code.as_str()));
        for id in manifests.get(&decision.id.0).into_iter().flatten() {
            let _ = write!(row, "<a href=\"{}\">manifest</a> ", bundle_file(*id));
        }
        row.push_str("</td></tr>\n");
        self.rows.write(row.as_bytes())
    }

    /// The page.
    ///
    /// # Errors
    /// When it cannot be written to a temporary file.
    pub fn finish(mut self, about: &About) -> Result<Spool, Error> {
        let mut page = Spool::new()?;
        let mut head = format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
             <title>Evidence: {tenant}</title>\n<style>{STYLE}</style>\n\
             <h1>What agents of <em>{tenant}</em> did</h1>\n\
             <p>From {from} up to before {to}, UTC.</p>\n\
             <p><strong>{decisions} decisions</strong>: <span class=allow>{allowed} allowed</span>, \
             <span class=deny>{denied} denied</span>. <strong>{manifests} signed manifests</strong> \
             say what was done.</p>\n\
             <p>This page summarises <code>{DECISIONS}</code> and proves nothing by itself. What is \
             signed are the manifests in <code>bundles/</code>; README.md says how to verify \
             them.</p>\n",
            tenant = escaped(&about.tenant),
            from = about.from,
            to = about.to,
            decisions = about.decisions,
            manifests = about.manifests,
            allowed = self.allowed,
            denied = self.denied,
        );
        let tallies = [("Who", &self.who), ("Tool", &self.tools), ("Reason code", &self.codes)];
        for (title, tally) in tallies {
            let _ = write!(head, "<table>\n<tr><th>{title}<th>allowed<th>denied</tr>\n");
            for (name, allows, denies) in tally.rows() {
                let name = escaped(name);
                let _ =
                    writeln!(head, "<tr><td>{name}<td class=n>{allows}<td class=n>{denies}</tr>");
            }
            head.push_str("</table>\n");
        }
        let _ = write!(
            head,
            "<h2>Every decision</h2>\n{}<table>\n<tr><th>time<th>agent<th>principal<th>tool\
             <th>action<th>purpose<th>decision<th>why<th>manifest</tr>\n",
            if self.shown < about.decisions {
                format!(
                    "<p>The newest {} of {}; all are in <code>{DECISIONS}</code>.</p>\n",
                    self.shown, about.decisions
                )
            } else {
                String::new()
            }
        );
        page.write(head.as_bytes())?;
        page.append(&mut self.rows)?;
        page.write(b"</table>\n</html>\n")?;
        Ok(page)
    }
}

/// Who acted: the agent, or the holder of the key.
fn who(decision: &Decision) -> &str {
    decision.agent.as_ref().map_or(decision.principal.as_str(), |agent| agent.as_str())
}

/// Text that came from elsewhere, within HTML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // It could show text in another order than it is.
            c if c.is_control()
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_recorded_becomes_markup() {
        let text = "<script>\"'&\u{202e}\n";
        assert_eq!(escaped(text), "&lt;script&gt;&quot;&#39;&amp;\\u{202e}\\u{a}");
    }
}
