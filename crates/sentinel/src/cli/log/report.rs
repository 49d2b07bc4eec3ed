//! What an audit found, in words.

use std::path::Path;

use sentinel_provenance::log::{AuditReport, Finding};
use serde_json::{Value, json};

use crate::cli::log::Audited;
use crate::failure::Outcome;
use crate::output;

/// Findings that are shown beside the first.
const SHOWN: usize = 10;

pub(super) fn show(audited: &[Audited], evidence: Option<&Path>, json: bool) -> Outcome {
    if json {
        let logs: Vec<_> = audited.iter().map(as_json).collect();
        return output::json(&json!({
            "sound": audited.iter().all(Audited::sound),
            "logs": logs,
            "evidence": evidence.map(|path| path.display().to_string()),
        }));
    }
    for (number, log) in audited.iter().enumerate() {
        if number > 0 {
            output::line("")?;
        }
        in_words(log, audited, evidence)?;
    }
    Ok(())
}

fn as_json(log: &Audited) -> Value {
    let finding = |finding: &Finding| {
        json!({
            "code": finding.code(),
            "message": finding.to_string(),
            "meaning": finding.meaning(),
            "keep": finding.keep(),
        })
    };
    let findings: Vec<_> = log.findings().iter().map(finding).collect();
    let mut object = json!({
        "place": log.place,
        "origin": log.key.name().as_str(),
        "sound": log.sound(),
        "findings": findings,
        "checkpoints": { "kept": log.kept.0 },
        "bundle_entries": { "kept": log.kept.1 },
    });
    if let (Ok(report), Some(fields)) = (&log.result, object.as_object_mut()) {
        let AuditReport { checkpoint, signers, retained, entries, omitted, .. } = report;
        fields.insert("size".into(), checkpoint.size().into());
        fields.insert("root".into(), checkpoint.root().to_hex().into());
        fields.insert("entries_by_key".into(), json!(signers));
        fields.insert("checkpoints".into(), json!({ "kept": log.kept.0, "hold": retained }));
        fields.insert("bundle_entries".into(), json!({ "kept": log.kept.1, "found": entries }));
        fields.insert("findings_omitted".into(), (*omitted).into());
    }
    object
}

fn in_words(log: &Audited, audited: &[Audited], evidence: Option<&Path>) -> Outcome {
    let verdict = if log.sound() {
        output::styled(output::GREEN, "sound")
    } else {
        output::styled(output::RED, "not sound")
    };
    output::line(&format!(
        "{verdict}  log `{}` in {}",
        log.key.name(),
        output::printable(&log.place)
    ))?;
    if let Some((first, others)) = log.findings().split_first() {
        findings(first, others, log.result.as_ref().map_or(0, |report| report.omitted), evidence)?;
    }
    if let Ok(report) = &log.result {
        checked(log, report, audited)?;
    }
    Ok(())
}

fn findings(first: &Finding, others: &[Finding], omitted: u64, evidence: Option<&Path>) -> Outcome {
    output::line("")?;
    output::line(&format!("  {}", output::printable(&first.to_string())))?;
    let keep = match evidence.filter(|_| first.evidence().is_some()) {
        Some(path) => format!("{}; both notes are in `{}`", first.keep(), path.display()),
        None => first.keep().to_owned(),
    };
    output::fields(&[("which means", first.meaning().to_owned()), ("to keep", keep)])?;
    if !others.is_empty() {
        output::line("")?;
        output::line("  also, as a consequence or besides:")?;
    }
    for finding in others.iter().take(SHOWN) {
        output::line(&format!("  - {}", output::printable(&finding.to_string())))?;
    }
    let more = others.len().saturating_sub(SHOWN) as u64 + omitted;
    if more > 0 {
        output::line(&format!("  - and {more} more"))?;
    }
    output::line("")
}

fn checked(log: &Audited, report: &AuditReport, audited: &[Audited]) -> Outcome {
    let size = report.checkpoint.size();
    let mut lines = vec![
        ("checkpoint", format!("signed by `{}`", log.key)),
        ("entries", format!("{size}, under the root `{}`", report.checkpoint.root())),
    ];
    for (key, count) in &report.signers {
        lines.push(("", format!("{count} signed by `{key}`")));
    }
    lines.push(("witnesses", witnesses(log, report)));
    let (kept, entries) = log.kept;
    let mut of_kept = match kept {
        0 => {
            "nothing, so that a rollback or another history would not show: use --state".to_owned()
        }
        _ => format!("{} of {kept} checkpoints hold", report.retained),
    };
    if entries > 0 {
        of_kept
            .push_str(&format!(", {} of {entries} entries of bundles are there", report.entries));
    }
    lines.push(("kept", of_kept));
    if let Some(before) = &log.continues {
        let origin = &before.predecessor().origin;
        let how = match audited.iter().any(|log| log.key.name().as_str() == origin) {
            true if log.sound() => "as it was ended",
            true => "see above",
            false => "which was not audited",
        };
        lines.push(("continues", format!("`{origin}`, {how}")));
    }
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    lines.iter().try_for_each(|(name, text)| {
        output::line(&format!("  {name:width$}  {}", output::printable(text)))
    })
}

fn witnesses(log: &Audited, report: &AuditReport) -> String {
    let Some(policy) = &log.witnesses else { return "none were demanded".to_owned() };
    match report.checkpoint.cosignatures(policy) {
        Ok(seen) => {
            let names: Vec<_> = seen.iter().map(|by| format!("`{}`", by.witness)).collect();
            format!("seen by {}, {} were demanded", names.join(" and "), policy.quorum())
        }
        Err(error) => error.to_string(),
    }
}
