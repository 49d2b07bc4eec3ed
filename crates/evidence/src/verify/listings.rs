//! The listed manifests and decisions, compared with what was signed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read};

use sentinel_api::{Decision, ManifestRecord};
use sentinel_provenance::{AgentAction, RecordedDecision, Statement};
use serde_json::Map;
use uuid::Uuid;

use super::problems::{Check, Problems, Unsound};
use crate::Error;
use crate::layout::{About, DECISIONS, MANIFESTS, MAX_LINE};

#[derive(Debug, Default)]
pub(super) struct Listings {
    manifests: BTreeMap<Uuid, ManifestRecord>,
    /// Decisions to which manifests point.
    decided: BTreeMap<Uuid, Decision>,
    decisions: u64,
    /// What manifests that point to a decision say, without their metadata.
    pointed: BTreeMap<Uuid, AgentAction>,
    pub(super) of_manifests: Problems,
    of_decisions: Problems,
}

impl Listings {
    pub(super) fn manifests(&mut self, content: &mut impl Read) -> Result<(), Error> {
        each_line(MANIFESTS, content, |line| match serde_json::from_slice::<ManifestRecord>(line) {
            Ok(manifest) => {
                let id = manifest.id.0;
                if self.manifests.insert(id, manifest).is_some() {
                    self.of_manifests.add(format!("manifest `{id}` is listed twice"));
                }
            }
            Err(error) => self.of_manifests.add(format!("`{MANIFESTS}`: {error}")),
        })
    }

    /// Comes after the manifests, so that only what they point to is kept.
    pub(super) fn decisions(&mut self, content: &mut impl Read) -> Result<(), Error> {
        let wanted: BTreeSet<Uuid> =
            self.manifests.values().filter_map(|manifest| Some(manifest.decision_id?.0)).collect();
        let mut tenants = BTreeSet::new();
        each_line(DECISIONS, content, |line| match serde_json::from_slice::<Decision>(line) {
            Ok(decision) => {
                self.decisions += 1;
                tenants.insert(decision.tenant.clone());
                if wanted.contains(&decision.id.0) {
                    self.decided.insert(decision.id.0, decision);
                }
            }
            Err(error) => self.of_decisions.add(format!("`{DECISIONS}`: {error}")),
        })?;
        if tenants.len() > 1 {
            self.of_decisions.add("decisions of several tenants are mixed".to_owned());
        }
        Ok(())
    }

    /// Compares a statement that was verified with the listed manifest.
    pub(super) fn signed(
        &mut self,
        id: Uuid,
        statement: &Statement<AgentAction>,
    ) -> Result<(), Unsound> {
        let action = statement.predicate();
        let manifest = self.manifests.get(&id).ok_or("the manifest is not listed")?;
        let tenant = manifest.tenant.as_ref();
        let decision = action.decision.as_ref().map(|decision| decision.id);
        let same = [
            ("id", action.id == id),
            ("tenant", tenant.is_none_or(|tenant| tenant.as_str() == action.tenant)),
            ("tool", manifest.tool.as_str() == action.tool),
            ("action", manifest.action.as_str() == action.action),
            (
                "payload_hash",
                manifest.payload_hash == format!("sha256:{}", statement.subject_digest()),
            ),
            ("decision_id", manifest.decision_id.map(|id| id.0) == decision),
        ];
        if let Some((field, _)) = same.iter().find(|(_, same)| !same) {
            return Err(Unsound(format!("it says something else than the list: {field}")));
        }
        if action.decision.is_some() {
            self.pointed.insert(id, AgentAction { metadata: Map::new(), ..action.clone() });
        }
        Ok(())
    }

    pub(super) fn compare_bundles(&mut self, bundles: &BTreeSet<Uuid>) {
        for id in self.manifests.keys().filter(|id| !bundles.contains(id)) {
            self.of_manifests.add(format!("manifest `{id}` has no bundle"));
        }
        for id in bundles.iter().filter(|id| !self.manifests.contains_key(id)) {
            self.of_manifests.add(format!("bundle `{id}` is not listed"));
        }
    }

    pub(super) fn compare_with(&mut self, about: &About) {
        if about.manifests != self.manifests.len() as u64 {
            let (says, actual) = (about.manifests, self.manifests.len());
            self.of_manifests.add(format!("{actual} are listed, there were {says}"));
        }
        if about.decisions != self.decisions {
            let (says, actual) = (about.decisions, self.decisions);
            self.of_decisions.add(format!("{actual} are there, there were {says}"));
        }
        let outside = |manifest: &&ManifestRecord| {
            let tenant = manifest.tenant.as_ref();
            !(about.from..about.to).contains(&manifest.created_at)
                || tenant.is_some_and(|tenant| tenant.as_str() != about.tenant)
        };
        for manifest in self.manifests.values().filter(outside) {
            let id = manifest.id;
            self.of_manifests.add(format!("manifest `{id}` is of another tenant or time"));
        }
    }

    /// A decision may be older than the time that was asked for; one that is here must agree.
    pub(super) fn compare_decisions(&mut self) {
        for (manifest, said) in &self.pointed {
            let Some(signed) = &said.decision else { continue };
            let Some(decision) = self.decided.get(&signed.id) else { continue };
            let differing = said.differs_from(&recorded(decision));
            if !differing.is_empty() {
                let (id, fields) = (decision.id, differing.join(", "));
                self.of_decisions.add(format!(
                    "decision `{id}` says otherwise than manifest `{manifest}` signed: {fields}"
                ));
            }
        }
    }

    /// The checks of manifests and of decisions.
    pub(super) fn checks(self) -> [Check; 2] {
        let denied = match self.pointed.values().filter(|said| said.is_outcome_of_deny()).count() {
            0 => String::new(),
            1 => "; 1 call was made though it was DENIED".to_owned(),
            count => format!("; {count} calls were made though they were DENIED"),
        };
        let listed = self.manifests.len();
        let (decisions, decided) = (self.decisions, self.decided.len());
        [
            self.of_manifests
                .check("manifests", format!("{listed} listed, none missing, none besides")),
            self.of_decisions.check(
                "decisions",
                format!("{decisions}, {decided} with signed manifests{denied}"),
            ),
        ]
    }
}

/// The fields that statements repeat.
fn recorded(decision: &Decision) -> RecordedDecision<'_> {
    RecordedDecision {
        id: decision.id.0,
        allow: decision.is_allowed(),
        code: decision.code.as_str(),
        policy_revision: decision.policy_revision.as_deref(),
        tenant: decision.tenant.as_str(),
        tool: decision.tool.as_str(),
        action: decision.action.as_str(),
        purpose: decision.purpose.as_ref().map(|purpose| purpose.as_str()),
        agent: decision.agent.as_ref().map(|agent| agent.as_str()),
        principal: &decision.principal,
    }
}

/// Calls `take` with each line, without its newline.
fn each_line(
    name: &'static str,
    content: &mut impl Read,
    mut take: impl FnMut(&[u8]),
) -> Result<(), Error> {
    let mut reader = BufReader::new(content);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = reader.by_ref().take(MAX_LINE as u64 + 1);
        let read = bounded.read_until(b'\n', &mut line);
        read.map_err(|cause| Error::Read { place: name.to_owned(), cause })?;
        match line.strip_suffix(b"\n") {
            Some(line) => take(line),
            None if line.is_empty() => return Ok(()),
            None => return Err(Error::Line(name)),
        }
    }
}
