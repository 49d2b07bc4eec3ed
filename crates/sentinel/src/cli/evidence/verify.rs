//! `sentinel evidence verify`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use sentinel_provenance::log::{
    Checkpoint, MAX_TRUSTED_ROOT_BYTES, SignedCheckpoint, TrustedRoot, WitnessPolicy,
    verify_consistency,
};
use sentinel_provenance::{
    AgentAction, Bundle, CheckName, KeyEventKind, KeyEvents, LogTrust, Outcome as Checked,
    PublicKey, Sha256Digest, SigningKeyEvent, Statement, Trust,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tar::{Archive, EntryType};
use uuid::Uuid;

use super::archive::{Hashing, inner_path};
use super::list::{Decision, Manifest};
use super::{
    ABOUT, About, BUNDLES, CHECKPOINTS, CONSISTENCY, Consistency, DECISIONS, KEY_EVENTS, KEYS,
    MANIFESTS, MAX_LINE, SUMS, TRUSTED_ROOT, VERSION, bundle_file, key_file,
};
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::files;
use crate::output;

/// Largest file that is read as a whole, in bytes.
const MAX_DOCUMENT: u64 = 64 * 1024 * 1024;
/// Problems of one kind that are shown.
const SHOWN: usize = 5;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The archive.
    archive: PathBuf,
    /// A key that signs manifests, PEM, in place of those in the archive; may be given several
    /// times.
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// Trusted root, in place of that in the archive.
    #[arg(long, value_name = "FILE")]
    trusted_root: Option<PathBuf>,
    /// Who must have cosigned each bundle's checkpoint, as C2SP tlog-policy has it.
    #[arg(long, value_name = "FILE")]
    witness_policy: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, json: bool) -> Outcome {
    let mut evidence = Evidence::new(args)?;
    evidence.read(&args.archive)?;
    let checks = evidence.finish();
    let sound = checks.iter().all(|check| check.problems.is_empty());
    show(&checks, args, sound, json)?;
    if sound { Ok(()) } else { Err(Failure::silent()) }
}

/// One thing that is checked, and what is wrong with it.
struct Check {
    name: &'static str,
    /// What is so, when nothing is wrong.
    passed: String,
    problems: Vec<String>,
    more: u64,
}

#[derive(Default)]
struct Problems {
    shown: Vec<String>,
    more: u64,
}

impl Problems {
    fn add(&mut self, problem: String) {
        if self.shown.len() < SHOWN {
            self.shown.push(problem);
        } else {
            self.more += 1;
        }
    }

    fn check(self, name: &'static str, passed: String) -> Check {
        Check { name, passed, problems: self.shown, more: self.more }
    }
}

/// What was read so far.
struct Evidence {
    /// Keys that are trusted: those that were given, or those in the archive.
    trusted: Vec<PublicKey>,
    given: bool,
    /// Statements about keys, with their paths.
    said: Vec<(String, Vec<u8>)>,
    /// What those prove, once the first manifest is verified.
    events: Option<KeyEvents>,
    /// Fingerprints of the keys that signed bundles.
    used: BTreeSet<String>,
    logs: Option<LogTrust>,
    witnesses: Option<WitnessPolicy>,
    about: Option<About>,
    files: BTreeMap<String, Sha256Digest>,
    sums: BTreeMap<String, Sha256Digest>,
    manifests: BTreeMap<Uuid, Manifest>,
    bundles: BTreeSet<Uuid>,
    /// Decisions to which manifests point.
    decided: BTreeMap<Uuid, Decision>,
    decisions: u64,
    /// What manifests that point to a decision say, without their metadata.
    pointed: BTreeMap<Uuid, AgentAction>,
    /// States of logs to which bundles prove.
    states: BTreeMap<(String, u64), Sha256Digest>,
    /// The newest checkpoint of each log.
    checkpoints: BTreeMap<String, String>,
    consistency: Vec<Consistency>,
    of_files: Problems,
    of_bundles: Problems,
    of_listing: Problems,
    of_decisions: Problems,
    of_log: Problems,
    of_keys: Problems,
}

impl Evidence {
    fn new(args: &Args) -> Outcome<Self> {
        let witnesses = args.witness_policy.as_deref().map(files::witness_policy).transpose()?;
        let root = args.trusted_root.as_deref().map(files::trusted_root).transpose()?;
        let trusted = args.key.iter().map(|path| files::public_key(path));
        Ok(Self {
            trusted: trusted.collect::<Outcome<_>>()?,
            given: !args.key.is_empty(),
            said: Vec::new(),
            events: None,
            used: BTreeSet::new(),
            logs: root.map(|root| LogTrust { root, witnesses: witnesses.clone() }),
            witnesses,
            about: None,
            files: BTreeMap::new(),
            sums: BTreeMap::new(),
            manifests: BTreeMap::new(),
            bundles: BTreeSet::new(),
            decided: BTreeMap::new(),
            decisions: 0,
            pointed: BTreeMap::new(),
            states: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            consistency: Vec::new(),
            of_files: Problems::default(),
            of_bundles: Problems::default(),
            of_listing: Problems::default(),
            of_decisions: Problems::default(),
            of_log: Problems::default(),
            of_keys: Problems::default(),
        })
    }

    /// Reads the archive once, from its beginning to its end.
    fn read(&mut self, path: &Path) -> Outcome {
        let doing = || format!("`{}` is not an archive that can be read", path.display());
        let file = File::open(path).or_fail(|| format!("cannot read `{}`", path.display()))?;
        let mut archive = Archive::new(GzDecoder::new(BufReader::new(file)));
        let mut folder = None;
        for entry in archive.entries().or_fail(doing)? {
            let entry = entry.or_fail(doing)?;
            let inside = inner_path(&entry.path_bytes(), &mut folder)?;
            if entry.header().entry_type() != EntryType::Regular {
                return Err(Failure::new(format!("{}: `{inside}` is no file", doing())));
            }
            let size = entry.size();
            let mut content = Hashing::new(entry);
            self.file(&inside, size, &mut content)?;
            io::copy(&mut content, &mut io::sink()).or_fail(doing)?;
            if self.files.insert(inside.clone(), content.digest()).is_some() {
                self.of_files.add(format!("`{inside}` is there twice"));
            }
        }
        // What follows the archive is part of no file; a cut shows here.
        let mut rest = archive.into_inner();
        io::copy(&mut rest, &mut io::sink()).or_fail(doing)?;
        Ok(())
    }

    fn file(&mut self, path: &str, size: u64, content: &mut impl Read) -> Outcome {
        match path {
            MANIFESTS => return self.listed(content),
            DECISIONS => return self.decided(content),
            _ => {}
        }
        let wanted = matches!(path, TRUSTED_ROOT | ABOUT | CONSISTENCY | SUMS)
            || path.starts_with(BUNDLES)
            || path.starts_with(CHECKPOINTS)
            || path.starts_with(KEY_EVENTS)
            || path.starts_with(KEYS);
        if !wanted {
            return Ok(());
        }
        if size > MAX_DOCUMENT {
            self.of_files.add(format!("`{path}` is too large"));
            return Ok(());
        }
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).or_fail(|| format!("cannot read `{path}`"))?;
        let text = String::from_utf8_lossy(&bytes);
        match path {
            TRUSTED_ROOT if self.logs.is_none() => self.root(&bytes),
            TRUSTED_ROOT => {}
            ABOUT => self.about = self.json(path, &bytes),
            CONSISTENCY => self.consistency = self.json(path, &bytes).unwrap_or_default(),
            SUMS => self.sums(&text),
            _ if path.starts_with(BUNDLES) => self.bundle(path, &bytes),
            _ if path.starts_with(CHECKPOINTS) => {
                let origin = path.trim_start_matches(CHECKPOINTS).to_owned();
                self.checkpoints.insert(origin, text.into_owned());
            }
            _ if path.starts_with(KEY_EVENTS) => self.said.push((path.to_owned(), bytes)),
            _ if self.given => {}
            _ => match PublicKey::from_spki_pem(&text) {
                Ok(key) if key_file(key.hint()) == path => self.trusted.push(key),
                _ => self.of_keys.add(format!("`{path}` is not the key that it is named after")),
            },
        }
        Ok(())
    }

    fn json<T: DeserializeOwned>(&mut self, path: &str, bytes: &[u8]) -> Option<T> {
        match serde_json::from_slice(bytes) {
            Ok(value) => Some(value),
            Err(error) => {
                self.of_files.add(format!("`{path}`: {error}"));
                None
            }
        }
    }

    fn root(&mut self, bytes: &[u8]) {
        let root = bytes.get(..bytes.len().min(MAX_TRUSTED_ROOT_BYTES + 1)).unwrap_or_default();
        match TrustedRoot::parse(root) {
            Ok(root) => self.logs = Some(LogTrust { root, witnesses: self.witnesses.clone() }),
            Err(error) => self.of_files.add(format!("`{TRUSTED_ROOT}`: {error}")),
        }
    }

    fn sums(&mut self, text: &str) {
        for line in text.lines() {
            let parsed = line
                .split_once("  ")
                .and_then(|(digest, path)| Some((Sha256Digest::from_hex(digest)?, path)));
            match parsed {
                Some((digest, path)) => drop(self.sums.insert(path.to_owned(), digest)),
                None => self.of_files.add(format!("`{SUMS}` has a line that is none")),
            }
        }
    }

    fn listed(&mut self, content: &mut impl Read) -> Outcome {
        each_line(MANIFESTS, content, |line| match serde_json::from_slice::<Manifest>(line) {
            Ok(manifest) => {
                let id = manifest.id;
                if self.manifests.insert(id, manifest).is_some() {
                    self.of_listing.add(format!("manifest `{id}` is listed twice"));
                }
            }
            Err(error) => self.of_listing.add(format!("`{MANIFESTS}`: {error}")),
        })
    }

    /// Comes after the manifests, so that only what they point to is kept.
    fn decided(&mut self, content: &mut impl Read) -> Outcome {
        let wanted: BTreeSet<Uuid> =
            self.manifests.values().filter_map(|manifest| manifest.decision_id).collect();
        let mut tenants = BTreeSet::new();
        each_line(DECISIONS, content, |line| match serde_json::from_slice::<Decision>(line) {
            Ok(decision) => {
                self.decisions += 1;
                tenants.insert(decision.tenant.clone());
                if wanted.contains(&decision.id) {
                    self.decided.insert(decision.id, decision);
                }
            }
            Err(error) => self.of_decisions.add(format!("`{DECISIONS}`: {error}")),
        })?;
        if tenants.len() > 1 {
            self.of_decisions.add("decisions of several tenants are mixed".to_owned());
        }
        Ok(())
    }

    fn bundle(&mut self, path: &str, bytes: &[u8]) {
        let named = path.strip_prefix(BUNDLES).and_then(|name| name.strip_suffix(".json"));
        let id = named.and_then(|name| name.parse::<Uuid>().ok());
        let Some(id) = id.filter(|id| bundle_file(*id) == path) else {
            return self.of_listing.add(format!("`{path}` is no bundle of a manifest"));
        };
        self.bundles.insert(id);
        if let Err(why) = self.verify(id, bytes) {
            self.of_bundles.add(format!("`{path}`: {why}"));
        }
    }

    fn verify(&mut self, id: Uuid, bytes: &[u8]) -> Result<(), String> {
        let bundle = Bundle::parse(bytes).map_err(|error| error.to_string())?;
        self.read_key_events();
        let logs = self.logs.as_ref().ok_or("there is no trusted root before it")?;
        let events = self.events.as_ref().ok_or("what is known of keys cannot be used")?;
        let hint = bundle.hint();
        let key = events.key(hint).ok_or_else(|| format!("key `{hint}` is not trusted"))?;
        let trust = Trust {
            key,
            logs: Some(logs),
            certificate: events.certificate(hint),
            revocations: Some(events.revocations()),
        };
        let verification = trust.verify(&bundle, None);
        if let Some(failed) =
            verification.checks().iter().find(|check| check.outcome == Checked::Failed)
        {
            let name = json!(failed.name);
            return Err(format!("{}: {}", name.as_str().unwrap_or_default(), failed.detail));
        }
        if verification.outcome(CheckName::Inclusion) != Some(Checked::Passed) {
            return Err("it was not verified".to_owned());
        }
        self.used.insert(bundle.hint().to_owned());
        self.state_of(&bundle);
        let statement = verification.statement().ok_or("it was not verified")?;
        let action = statement.predicate();
        let manifest = self.manifests.get(&id).ok_or("the manifest is not listed")?;
        let same = [
            ("id", action.id == id),
            ("tenant", manifest.tenant.as_ref().is_none_or(|tenant| *tenant == action.tenant)),
            ("tool", manifest.tool == action.tool),
            ("action", manifest.action == action.action),
            (
                "payload_hash",
                manifest.payload_hash == format!("sha256:{}", statement.subject_digest()),
            ),
            (
                "decision_id",
                manifest.decision_id == action.decision.as_ref().map(|decision| decision.id),
            ),
        ];
        if let Some((field, _)) = same.iter().find(|(_, same)| !same) {
            return Err(format!("it says something else than the list: {field}"));
        }
        if action.decision.is_some() {
            self.pointed.insert(id, AgentAction { metadata: Map::new(), ..action.clone() });
        }
        Ok(())
    }

    /// Once, before the first manifest: all of it is in front of them.
    fn read_key_events(&mut self) {
        let Some(logs) = self.logs.as_ref().filter(|_| self.events.is_none()) else { return };
        let said: Vec<_> = self.said.iter().map(|(_, json)| json.clone()).collect();
        if !self.given {
            // Those that are certified are believed as their certificates say.
            let certified: BTreeSet<_> = said.iter().filter_map(|json| certified(json)).collect();
            self.trusted.retain(|key| !certified.contains(key.hint()));
        }
        match KeyEvents::read(&said, &self.trusted, logs) {
            Ok(events) => self.events = Some(events),
            Err((position, error)) => {
                let path = self.said.get(position).map(|(path, _)| path.as_str());
                let problem = format!("`{}`: {error}", path.unwrap_or_default());
                // What is wrong is told once, and no manifest is believed.
                if self.of_keys.shown.is_empty() {
                    self.of_keys.add(problem);
                }
                return;
            }
        }
        for (_, json) in std::mem::take(&mut self.said) {
            if let Ok(bundle) = Bundle::parse(&json) {
                self.state_of(&bundle);
            }
        }
    }

    /// The states of logs to which a bundle proves that was verified.
    fn state_of(&mut self, bundle: &Bundle) {
        let Some(logs) = &self.logs else { return };
        for entry in &bundle.verification_material.tlog_entries {
            let Some(log) = logs.root.log(&entry.log_id.key_id) else { continue };
            let proof = &entry.inclusion_proof;
            let state = (log.origin().to_owned(), proof.tree_size);
            let known = self.states.insert(state, proof.root_hash);
            if known.is_some_and(|root| root != proof.root_hash) {
                let (origin, size) = (log.origin(), proof.tree_size);
                self.of_log.add(format!(
                    "log `{origin}` signed two states of {size} entries: it has forked"
                ));
            }
        }
    }

    /// Compares what was read with each other.
    fn finish(mut self) -> Vec<Check> {
        self.compare_files();
        self.compare_listing();
        self.compare_decisions();
        self.compare_states();
        self.read_key_events();
        let denied = match self.pointed.values().filter(|said| said.is_outcome_of_deny()).count() {
            0 => String::new(),
            count => format!("; {count} calls were made though they were DENIED"),
        };
        let keys = if self.given { "given" } else { "in the archive" };
        vec![
            self.of_files.check("files", format!("{} as their digests say", self.files.len())),
            self.of_listing.check(
                "manifests",
                format!("{} listed, none missing, none besides", self.manifests.len()),
            ),
            self.of_bundles.check(
                "bundles",
                format!("{} signed, in the log, and as listed", self.bundles.len()),
            ),
            self.of_decisions.check(
                "decisions",
                format!("{}, {} with signed manifests{denied}", self.decisions, self.decided.len()),
            ),
            self.of_log.check(
                "log",
                format!("{} states, each continued by the checkpoint", self.states.len()),
            ),
            self.of_keys.check(
                "keys",
                format!("{} used, all {keys}, none revoked before", self.used.len()),
            ),
        ]
    }

    fn compare_files(&mut self) {
        for (path, digest) in &self.sums {
            match self.files.get(path) {
                Some(actual) if actual == digest => {}
                Some(_) => self.of_files.add(format!("`{path}` was changed")),
                None => self.of_files.add(format!("`{path}` is missing")),
            }
        }
        for path in self.files.keys().filter(|path| *path != SUMS) {
            if !self.sums.contains_key(path) {
                self.of_files.add(format!("`{path}` was added"));
            }
        }
        for path in [SUMS, ABOUT, MANIFESTS, DECISIONS, CONSISTENCY, TRUSTED_ROOT] {
            if !self.files.contains_key(path) {
                self.of_files.add(format!("`{path}` is missing"));
            }
        }
    }

    fn compare_listing(&mut self) {
        for id in self.manifests.keys().filter(|id| !self.bundles.contains(id)) {
            self.of_listing.add(format!("manifest `{id}` has no bundle"));
        }
        for id in self.bundles.iter().filter(|id| !self.manifests.contains_key(id)) {
            self.of_listing.add(format!("bundle `{id}` is not listed"));
        }
        let Some(about) = &self.about else { return };
        if about.version != VERSION {
            self.of_files.add(format!("the archive has version {}", about.version));
        }
        if about.manifests != self.manifests.len() as u64 {
            let (says, actual) = (about.manifests, self.manifests.len());
            self.of_listing.add(format!("{actual} are listed, there were {says}"));
        }
        if about.decisions != self.decisions {
            let (says, actual) = (about.decisions, self.decisions);
            self.of_decisions.add(format!("{actual} are there, there were {says}"));
        }
        let outside = |manifest: &&Manifest| {
            !(about.from..about.to).contains(&manifest.created_at)
                || manifest.tenant.as_ref().is_some_and(|tenant| *tenant != about.tenant)
        };
        for manifest in self.manifests.values().filter(outside) {
            self.of_listing.add(format!("manifest `{}` is of another tenant or time", manifest.id));
        }
    }

    /// A decision may be older than the time that was asked for; one that is here must agree.
    fn compare_decisions(&mut self) {
        for (manifest, said) in &self.pointed {
            let Some(signed) = &said.decision else { continue };
            let Some(decision) = self.decided.get(&signed.id) else { continue };
            let differing = said.differs_from(&decision.recorded());
            if !differing.is_empty() {
                let (id, fields) = (decision.id, differing.join(", "));
                self.of_decisions.add(format!(
                    "decision `{id}` says otherwise than manifest `{manifest}` signed: {fields}"
                ));
            }
        }
    }

    fn compare_states(&mut self) {
        let states = std::mem::take(&mut self.states);
        for ((origin, earlier), earlier_root) in &states {
            let Some(checkpoint) = self.checkpoint(origin) else {
                self.of_log.add(format!("there is no checkpoint that log `{origin}` signed"));
                continue;
            };
            let (size, root) = (checkpoint.size(), checkpoint.root());
            let of_it = |proof: &&Consistency| proof.origin == *origin && proof.size == *earlier;
            let holds = self.consistency.iter().find(of_it).is_some_and(|found| {
                verify_consistency(*earlier, earlier_root, size, &root, &found.proof).is_ok()
            });
            if !holds {
                self.of_log.add(format!(
                    "nothing shows that log `{origin}` of {size} entries continues that of {earlier}"
                ));
            }
        }
        self.states = states;
    }

    fn checkpoint(&self, origin: &str) -> Option<SignedCheckpoint> {
        let (note, logs) = (self.checkpoints.get(origin)?, self.logs.as_ref()?);
        let mut of_it = logs.root.logs.iter().filter(|log| log.origin() == origin);
        of_it.find_map(|log| Checkpoint::open(note, log.key()).ok())
    }
}

/// Fingerprint of the key that a statement certifies.
fn certified(json: &[u8]) -> Option<String> {
    let bundle = Bundle::parse(json).ok()?;
    let statement = Statement::<SigningKeyEvent>::parse(bundle.envelope.payload()).ok()?;
    let said = statement.predicate();
    (said.event == KeyEventKind::Certified).then(|| said.hint.clone())
}

/// Calls `take` with each line, without its newline.
fn each_line(name: &str, content: &mut impl Read, mut take: impl FnMut(&[u8])) -> Outcome {
    let mut reader = BufReader::new(content);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = reader.by_ref().take(MAX_LINE as u64 + 1);
        bounded.read_until(b'\n', &mut line).or_fail(|| format!("cannot read `{name}`"))?;
        match line.strip_suffix(b"\n") {
            Some(line) => take(line),
            None if line.is_empty() => return Ok(()),
            None => {
                return Err(Failure::new(format!("`{name}` has a line that is cut or too long")));
            }
        }
    }
}

fn show(checks: &[Check], args: &Args, sound: bool, json: bool) -> Outcome {
    if json {
        let check = |check: &Check| -> Value {
            json!({
                "name": check.name,
                "passed": check.problems.is_empty(),
                "detail": if check.problems.is_empty() { check.passed.as_str() } else { "" },
                "problems": check.problems,
                "problems_omitted": check.more,
            })
        };
        let checks: Vec<_> = checks.iter().map(check).collect();
        return output::json(&json!({ "verified": sound, "checks": checks }));
    }
    output::line(&if sound {
        output::styled(output::GREEN, "verified")
    } else {
        output::styled(output::RED, "not verified")
    })?;
    for Check { name, passed, problems, more } in checks {
        let Some((first, rest)) = problems.split_first() else {
            let mark = output::styled(output::GREEN, "✓");
            output::line(&format!("  {mark} {name:<10}  {passed}"))?;
            continue;
        };
        let mark = output::styled(output::RED, "✗");
        output::line(&format!("  {mark} {name:<10}  {}", output::printable(first)))?;
        for problem in rest {
            output::line(&format!("    {:<10}  {}", "", output::printable(problem)))?;
        }
        if *more > 0 {
            output::line(&format!("    {:<10}  and {more} more", ""))?;
        }
    }
    if sound && (args.key.is_empty() || args.trusted_root.is_none()) {
        output::line("")?;
        output::line(
            "Keys came from the archive itself; compare them with what the operator published, or \
             give yours with --key and --trusted-root.",
        )?;
    }
    Ok(())
}
