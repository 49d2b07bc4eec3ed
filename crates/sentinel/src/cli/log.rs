//! `sentinel log`: what an auditor does with a transparency log, without its server.

mod report;
mod source;

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Url;
use sentinel_client::{ApiKey, same_origin};
use sentinel_provenance::LogTrust;
use sentinel_provenance::log::{
    Audit as Auditing, AuditReport, AuditState, Checkpoint, Expectations, Finding, KeyKind,
    MAX_AUDIT_STATE_BYTES, MAX_NOTE_BYTES, Note, ReadFile, Succession, VerifierKey, WitnessPolicy,
    log_files,
};

use crate::cli::log::source::Source;
use crate::client::key_of_environment;
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::files::{self, read, read_text};

/// Largest bundle, in bytes.
const MAX_BUNDLE: usize = sentinel_provenance::bundle::MAX_BUNDLE_BYTES;
/// How many files are fetched and verified at a time.
const PARALLEL: usize = 16;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Recomputes whole logs from their entries; needs no Sentinel server.
    Audit(Audit),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Audit {
    /// The logs, as C2SP tlog-tiles has them: directories, or addresses such as
    /// https://host/v1/log/.
    #[arg(required = true, value_name = "DIR|URL")]
    logs: Vec<String>,
    /// Key of a log, `name+id+key`; once for each log.
    #[arg(long, value_name = "VKEY", value_parser = VerifierKey::parse, required_unless_present = "trusted_root")]
    key: Vec<VerifierKey>,
    /// Trusted root with the keys of the logs.
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    trusted_root: Option<PathBuf>,
    /// Checkpoints that were kept, which the log must continue.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    checkpoint: Vec<PathBuf>,
    /// Bundles that were kept, whose entries must be in the log.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    bundle: Vec<PathBuf>,
    /// Who must have cosigned the checkpoint, as C2SP tlog-policy has it.
    #[arg(long, value_name = "FILE")]
    witness_policy: Option<PathBuf>,
    /// Bundles of statements about signing keys: entries of revoked keys are reported.
    #[arg(
        long,
        value_name = "FILE",
        num_args = 1..,
        requires_all = ["signing_key", "trusted_root"]
    )]
    key_events: Vec<PathBuf>,
    /// Keys whose statements about other keys are believed, PEM.
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "key_events")]
    signing_key: Vec<PathBuf>,
    /// API key, for a log that is not public: goes to the one server that the logs are at. By
    /// default that of the variable `SENTINEL_API_KEY`, which goes to the server of `SENTINEL_URL`
    /// only.
    #[arg(long, value_name = "KEY")]
    api_key: Option<String>,
    /// Where that key goes, when the logs are at several servers.
    #[arg(long, value_name = "URL", requires = "api_key")]
    api_key_for: Option<Url>,
    /// Keeps the checkpoints that were found sound, and demands that the logs continue them the
    /// next time.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Where two notes go that contradict each other.
    #[arg(long, value_name = "FILE", default_value = "log-evidence.txt")]
    evidence: PathBuf,
}

pub(crate) async fn run(command: Command, json: bool) -> Outcome {
    match command {
        Command::Audit(audit) => audit.run(json).await,
    }
}

/// A log that is to be audited.
struct Log {
    place: String,
    /// What its first entry says of the log before.
    continues: Option<Succession>,
    source: Source,
    note: String,
    key: VerifierKey,
    expected: Expectations,
}

/// What was found in one.
struct Audited {
    place: String,
    continues: Option<Succession>,
    key: VerifierKey,
    /// How many checkpoints and entries it was compared with.
    kept: (usize, usize),
    witnesses: Option<WitnessPolicy>,
    result: Result<AuditReport, Finding>,
}

impl Audited {
    fn findings(&self) -> &[Finding] {
        match &self.result {
            Ok(report) => &report.findings,
            Err(finding) => std::slice::from_ref(finding),
        }
    }

    fn sound(&self) -> bool {
        self.findings().is_empty()
    }
}

impl Audit {
    async fn run(&self, json: bool) -> Outcome {
        let keys = self.keys()?;
        let policy = self.witness_policy.as_deref().map(files::witness_policy).transpose()?;
        let mut state = self.read_state()?;
        let api_key = self.api_key()?;
        let mut logs = Vec::new();
        for place in &self.logs {
            logs.push(open(place, &keys, api_key.as_ref()).await?);
        }
        self.expect(&mut logs, policy.as_ref(), &state)?;
        let mut audited = Vec::new();
        for log in logs {
            audited.push(audit(log, json).await?);
        }
        compare_successions(&mut audited);
        for log in &audited {
            if let (Ok(report), true) = (&log.result, log.sound()) {
                state.keep(&report.checkpoint);
            }
        }
        let evidence = self.save_evidence(&audited)?;
        if let Some(path) = &self.state {
            let bytes = state.to_json().or_fail(|| format!("cannot write `{}`", path.display()))?;
            replace(path, &bytes)?;
        }
        report::show(&audited, evidence.as_deref(), json)?;
        if audited.iter().all(Audited::sound) { Ok(()) } else { Err(Failure::silent()) }
    }

    /// The API key with the origin that it is for.
    fn api_key(&self) -> Outcome<Option<ApiKey>> {
        let Some(key) = &self.api_key else { return key_of_environment() };
        if let Some(home) = &self.api_key_for {
            return Ok(Some(ApiKey::given(key, home)));
        }
        let mut addresses = self.logs.iter().filter_map(|place| source::address(place).ok()?);
        let Some(home) = addresses.next() else { return Ok(None) };
        if addresses.any(|other| !same_origin(&home, &other)) {
            return Err(Failure::usage(
                "the logs are at several servers, and --api-key is for one",
            )
            .help("name that one with --api-key-for"));
        }
        Ok(Some(ApiKey::given(key, &home)))
    }

    fn keys(&self) -> Outcome<Vec<VerifierKey>> {
        let keys = match &self.trusted_root {
            None => self.key.clone(),
            Some(path) => {
                files::trusted_root(path)?.logs.iter().map(|log| log.key().clone()).collect()
            }
        };
        if keys.iter().any(|key| key.kind() != KeyKind::Ed25519) {
            return Err(Failure::usage("--key is the key of a witness, not of a log"));
        }
        Ok(keys)
    }

    fn read_state(&self) -> Outcome<AuditState> {
        let Some(path) = self.state.as_deref().filter(|path| path.exists()) else {
            return Ok(AuditState::default());
        };
        AuditState::parse(&read(path, MAX_AUDIT_STATE_BYTES)?)
            .or_fail(|| format!("`{}` is not what an audit keeps", path.display()))
    }

    /// Tells each log's audit what the log must agree with.
    fn expect(
        &self,
        logs: &mut [Log],
        policy: Option<&WitnessPolicy>,
        state: &AuditState,
    ) -> Outcome {
        for log in &mut *logs {
            log.expected.witnesses = policy.cloned();
            if let (Some(note), Some(path)) = (state.note(log.key.name().as_str()), &self.state) {
                let label = path.display().to_string();
                retain(log, note, &label)?;
            }
        }
        for path in &self.checkpoint {
            let label = path.display().to_string();
            let note = read_text(path, MAX_NOTE_BYTES)?;
            let origin = origin(&note).or_fail(|| format!("`{label}` is not a checkpoint"))?;
            let of_it = logs.iter_mut().find(|log| log.key.name().as_str() == origin);
            let log = of_it.ok_or_else(|| {
                Failure::usage(format!("`{label}` is of log `{origin}`, which is not audited"))
            })?;
            retain(log, &note, &label)?;
        }
        for path in &self.bundle {
            let label = path.display().to_string();
            let bundle = read(path, MAX_BUNDLE)?;
            let before: usize = logs.iter().map(|log| log.expected.findings()).sum();
            let of = |log: &mut Log| log.expected.keep_bundle(&bundle, &log.key, &label);
            let entries: usize = logs.iter_mut().map(of).sum();
            let unsound = logs.iter().map(|log| log.expected.findings()).sum::<usize>() > before;
            if entries == 0 && !unsound {
                let message = format!("`{label}` has no entry of a log that is audited");
                return Err(Failure::usage(message));
            }
            continued(logs, &bundle, &label);
        }
        self.revoke(logs)
    }

    fn revoke(&self, logs: &mut [Log]) -> Outcome {
        let Some(root) = self.trusted_root.as_deref().filter(|_| !self.key_events.is_empty())
        else {
            return Ok(());
        };
        let trust = LogTrust { root: files::trusted_root(root)?, witnesses: None };
        let events = files::key_events(&self.key_events, &self.signing_key, &trust)?;
        for log in logs {
            if let Some(trusted) = trust.root.log(&log.key.id_hash()) {
                log.expected.revoked = events.revoked_in(trusted, &trust);
            }
        }
        Ok(())
    }

    /// Writes the first contradiction to a file that is not there yet: evidence is not overwritten.
    fn save_evidence(&self, audited: &[Audited]) -> Outcome<Option<PathBuf>> {
        let mut found = audited.iter().flat_map(Audited::findings).filter_map(Finding::evidence);
        let Some(text) = found.next() else { return Ok(None) };
        let doing = || format!("cannot save the evidence to `{}`", self.evidence.display());
        if read_text(&self.evidence, text.len()).is_ok_and(|kept| kept == text) {
            return Ok(Some(self.evidence.clone()));
        }
        let mut file = std::fs::File::create_new(&self.evidence).or_fail(doing)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).or_fail(doing)?;
        Ok(Some(self.evidence.clone()))
    }
}

/// Where the bundle says that one log continues another, the other must have that state.
fn continued(logs: &mut [Log], bundle: &[u8], label: &str) {
    for number in 0..logs.len() {
        let Some(log) = logs.get_mut(number) else { continue };
        match Succession::read(bundle, &log.key) {
            Ok(None) => {}
            Ok(Some(succession)) => {
                log.continues = Some(succession.clone());
                let before = succession.predecessor();
                let of_it = |log: &&mut Log| log.key.name().as_str() == before.origin;
                if let Some(log) = logs.iter_mut().find(of_it) {
                    // What is wrong with it is found when the two logs are compared.
                    let _ = log.expected.retain(&before.checkpoint, &log.key, label);
                }
            }
            Err(finding) => log.expected.report(finding),
        }
    }
}

/// Compares what each log says of the one before with what that has now.
fn compare_successions(audited: &mut [Audited]) {
    let mut found = Vec::new();
    for (number, log) in audited.iter().enumerate() {
        let Some(succession) = &log.continues else { continue };
        let origin = &succession.predecessor().origin;
        let before = audited.iter().find(|log| log.key.name().as_str() == origin);
        if let Some(Audited { key, result: Ok(report), .. }) = before
            && let Err(finding) = succession.check(&report.checkpoint, key)
        {
            found.push((number, finding));
        }
    }
    for (number, finding) in found {
        if let Some(Audited { result: Ok(report), .. }) = audited.get_mut(number) {
            report.add(finding);
        }
    }
}

fn retain(log: &mut Log, note: &str, label: &str) -> Outcome {
    log.expected
        .retain(note, &log.key, label)
        .or_fail(|| format!("`{label}` is not a checkpoint of log `{}`", log.key.name()))
}

/// The log that a note claims to be of. Its key is looked up by that, and then decides.
fn origin(note: &str) -> Result<String, sentinel_provenance::log::CheckpointError> {
    let note = Note::parse(note)?;
    Ok(Checkpoint::parse(note.text())?.origin().as_str().to_owned())
}

async fn open(place: &str, keys: &[VerifierKey], api_key: Option<&ApiKey>) -> Outcome<Log> {
    let source = Source::open(place, api_key)?;
    let note = source.checkpoint().await?.ok_or_else(|| {
        Failure::new(format!("`{place}` has no checkpoint"))
            .help("it is not a log, or it has lost its checkpoint")
    })?;
    let note = String::from_utf8_lossy(&note).into_owned();
    let key = match (origin(&note), keys) {
        (Ok(origin), _) => {
            keys.iter().find(|key| key.name().as_str() == origin).ok_or_else(|| {
                Failure::new(format!("`{place}` is log `{origin}`, of which no key was given"))
            })?
        }
        // With one key there is no doubt which one must have signed; the audit says what is wrong.
        (Err(_), [key]) => key,
        (Err(error), _) => return Err(Failure::new(format!("checkpoint of `{place}`: {error}"))),
    };
    let (place, key) = (place.to_owned(), key.clone());
    let expected = Expectations::default();
    Ok(Log { place, continues: None, source, note, key, expected })
}

async fn audit(log: Log, json: bool) -> Outcome<Audited> {
    let Log { place, continues, source, note, key, expected } = log;
    let kept = (expected.retained(), expected.entries());
    let witnesses = expected.witnesses.clone();
    let result = match Auditing::begin(&note, &key, expected) {
        Ok(auditing) => Ok(recompute(auditing, &source, json).await?),
        Err(finding) => Err(finding),
    };
    Ok(Audited { place, continues, key, kept, witnesses, result })
}

async fn recompute(mut auditing: Auditing, source: &Source, json: bool) -> Outcome<AuditReport> {
    let progress = progress(auditing.size(), json);
    let one = async |path| {
        let file = source.file(path).await?;
        let read = tokio::task::spawn_blocking(move || ReadFile::of(path, &file));
        read.await.or_fail(|| format!("cannot read `{path}`"))
    };
    let mut files = futures::stream::iter(log_files(auditing.size())).map(one).buffered(PARALLEL);
    while let Some(file) = files.next().await {
        auditing.take(file?);
        progress.set_position(auditing.audited());
    }
    progress.finish_and_clear();
    Ok(auditing.finish())
}

fn progress(entries: u64, json: bool) -> ProgressBar {
    if json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(entries);
    let style = "{human_pos} of {human_len} entries audited, {per_sec}, {eta} to go";
    bar.set_style(
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

/// Puts a file in place of another so that no crash leaves half of it.
fn replace(path: &Path, bytes: &[u8]) -> Outcome {
    let doing = || format!("cannot write `{}`", path.display());
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut file = std::fs::File::create(&new).or_fail(doing)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).or_fail(doing)?;
    std::fs::rename(&new, path).or_fail(doing)
}
