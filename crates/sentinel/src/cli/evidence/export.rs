//! `sentinel evidence export`.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use jiff::Timestamp;
use sentinel_core::name::TenantSlug;
use sentinel_core::principal::Role;
use sentinel_provenance::log::{
    Checkpoint, Tile, TrustedRoot, consistency_tiles, prove_consistency,
};
use sentinel_provenance::{Bundle, Sha256Digest};
use serde_json::Value;
use uuid::Uuid;

use super::archive::{Spool, Writer};
use super::list::{Decision, Manifest};
use super::readme::{self, Example};
use super::report::Report;
use super::{
    ABOUT, About, CHECKPOINTS, CONSISTENCY, Consistency, DECISIONS, KEY_EVENTS, MANIFESTS,
    MAX_LINE, README, REPORT, SALTS, TRUSTED_ROOT, VERSION, bundle_file, key_file,
};
use crate::client::{Client, Connection};
use crate::failure::{Failure, OrFail as _, Outcome};
use crate::output;

/// How many bundles are fetched at a time.
const PARALLEL: usize = 8;
/// How often a bundle is asked for that is not in the log yet, and how long apart.
const ATTEMPTS: usize = 20;
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Whose evidence.
    #[arg(long)]
    tenant: TenantSlug,
    /// Not before this time, such as 2026-11-22T10:00:00Z.
    #[arg(long, value_name = "TIME")]
    from: Timestamp,
    /// Before this time.
    #[arg(long, value_name = "TIME")]
    to: Timestamp,
    /// The archive, a `tar.gz` that does not exist yet.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Adds the salts of payloads: who has them can test what the payloads were.
    #[arg(long)]
    with_salts: bool,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(args: Args, json: bool) -> Outcome {
    if args.from >= args.to {
        return Err(Failure::usage("--from is not before --to"));
    }
    let client = args.connection.client(Role::Auditor)?;
    let about = Collecting { client: &client, args: &args }.write().await?;
    if json {
        return output::json(&about);
    }
    let (decisions, manifests) = (about.decisions, about.manifests);
    output::line(&format!(
        "{decisions} decisions and {manifests} manifests are in `{}`",
        args.output.display()
    ))
}

struct Collecting<'a> {
    client: &'a Client,
    args: &'a Args,
}

#[derive(serde::Deserialize)]
struct Keys {
    items: Vec<Key>,
}

#[derive(serde::Deserialize)]
struct Key {
    hint: String,
    public_key: String,
    events: Vec<KeyEvent>,
}

#[derive(serde::Deserialize)]
struct KeyEvent {
    event: String,
    bundle: Value,
}

fn key_event_file(number: usize, event: &str) -> String {
    let event: String = event.chars().filter(char::is_ascii_alphabetic).collect();
    format!("{KEY_EVENTS}{number:04}-{event}.json")
}

/// What was seen in the bundles.
#[derive(Default)]
struct Seen {
    /// States of logs to which bundles prove, by origin and size.
    states: BTreeSet<(String, u64)>,
    /// The first bundle, to show how one is verified.
    example: Option<Example>,
}

impl Collecting<'_> {
    async fn write(&self) -> Outcome<About> {
        let root = self.client.bytes(&["v1", "trusted-root"]).await?;
        let logs = TrustedRoot::parse(&root)
            .or_fail(|| "the server's trusted root cannot be used".to_owned())?;
        let (mut listed, manifests) = self.manifests().await?;
        let mut report = Report::new()?;
        let (mut decided, decisions) = self.decisions(&manifests, &mut report).await?;
        let about = About {
            version: VERSION,
            tenant: self.args.tenant.as_str().to_owned(),
            from: self.args.from,
            to: self.args.to,
            decisions,
            manifests: manifests.len() as u64,
        };
        let folder = format!("evidence-{}", about.tenant);
        let mut archive = Writer::create(&self.args.output, folder)?;
        archive.add(TRUSTED_ROOT, &root)?;
        let mut seen = Seen::default();
        self.keys(&logs, &mut seen, &mut archive).await?;
        archive.add_spooled(MANIFESTS, &mut listed)?;
        archive.add_spooled(DECISIONS, &mut decided)?;
        self.bundles(&manifests, &logs, &mut seen, &mut archive).await?;
        if self.args.with_salts {
            self.salts(&manifests, &mut archive).await?;
        }
        self.logs(&seen, &logs, &mut archive).await?;
        archive.add_spooled(REPORT, &mut report.finish(&about)?)?;
        archive.add(README, readme::text(&about, seen.example.as_ref()).as_bytes())?;
        let text = serde_json::to_vec_pretty(&about).or_fail(|| "cannot write JSON".to_owned())?;
        archive.add(ABOUT, &text)?;
        archive.finish()?;
        Ok(about)
    }

    /// The manifests of that time, newest first, as the server lists them.
    async fn manifests(&self) -> Outcome<(Spool, Vec<Manifest>)> {
        let (mut spool, mut manifests) = (Spool::new()?, Vec::new());
        let mut cursor: Option<String> = None;
        loop {
            let query = [
                ("tenant", Some(self.args.tenant.as_str().to_owned())),
                ("limit", Some("1000".to_owned())),
                ("cursor", cursor.take()),
            ];
            let mut page = self.client.get(&["v1", "manifests"], &query).await?;
            let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) else {
                return Err(Failure::new("the server's answer is not a listing"));
            };
            cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
            for item in items {
                let line = format!("{item}\n");
                let manifest: Manifest = serde_json::from_value(item)
                    .or_fail(|| "the server lists no manifests".to_owned())?;
                if manifest.created_at < self.args.from {
                    cursor = None;
                    break;
                }
                if manifest.created_at < self.args.to {
                    spool.write(line.as_bytes())?;
                    manifests.push(manifest);
                }
            }
            if cursor.is_none() {
                return Ok((spool, manifests));
            }
        }
    }

    async fn decisions(
        &self,
        manifests: &[Manifest],
        report: &mut Report,
    ) -> Outcome<(Spool, u64)> {
        let mut by_decision: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
        for manifest in manifests {
            if let Some(decision) = manifest.decision_id {
                by_decision.entry(decision).or_default().push(manifest.id);
            }
        }
        let query = [
            ("tenant", Some(self.args.tenant.as_str().to_owned())),
            ("from", Some(self.args.from.to_string())),
            ("to", Some(self.args.to.to_string())),
        ];
        let stream = self.client.stream(&["v1", "decisions", "export"], &query).await?;
        let (mut spool, mut count) = (Spool::new()?, 0);
        each_line(stream, |line| {
            let decision: Decision = serde_json::from_slice(line)
                .or_fail(|| "the server exports no decisions".to_owned())?;
            report.decision(&decision, &by_decision)?;
            count += 1;
            spool.write(line)?;
            spool.write(b"\n")
        })
        .await?;
        Ok((spool, count))
    }

    async fn bundles(
        &self,
        manifests: &[Manifest],
        logs: &TrustedRoot,
        seen: &mut Seen,
        archive: &mut Writer,
    ) -> Outcome {
        let fetch = async |manifest: &Manifest| {
            let id = manifest.id;
            self.logged_bundle(id, logs).await.map(|(json, bundle)| (id, json, bundle))
        };
        let mut fetched = futures::stream::iter(manifests).map(fetch).buffered(PARALLEL);
        while let Some(bundle) = fetched.next().await {
            let (id, json, bundle) = bundle?;
            seen.look(&bundle, logs);
            let key = key_file(bundle.hint());
            seen.example.get_or_insert_with(|| Example::of(id, &bundle, key));
            archive.add(&bundle_file(id), &json)?;
        }
        Ok(())
    }

    /// A bundle with its log entry, which it has a moment after the manifest was signed.
    async fn logged_bundle(&self, id: Uuid, logs: &TrustedRoot) -> Outcome<(Vec<u8>, Bundle)> {
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            let json = self.client.bytes(&["v1", "manifests", &id.to_string(), "bundle"]).await?;
            let bundle = Bundle::parse(&json).or_fail(|| format!("bundle of manifest `{id}`"))?;
            let entries = &bundle.verification_material.tlog_entries;
            if entries.iter().any(|entry| logs.log(&entry.log_id.key_id).is_some()) {
                return Ok((json, bundle));
            }
        }
        Err(Failure::new(format!("manifest `{id}` is not in the log yet"))
            .help("try again in a moment; `sentinel doctor` says whether the log is stuck"))
    }

    /// The keys that ever signed, and what became of them.
    async fn keys(&self, logs: &TrustedRoot, seen: &mut Seen, archive: &mut Writer) -> Outcome {
        let answer = self.client.get(&["v1", "provenance", "keys"], &[]).await?;
        let Keys { items }: Keys = serde_json::from_value(answer)
            .or_fail(|| "the server's answer is not a list of keys".to_owned())?;
        let mut number = 0;
        for key in items {
            archive.add(&key_file(&key.hint), key.public_key.as_bytes())?;
            for KeyEvent { event, bundle } in key.events {
                let json = bundle.to_string();
                let bundle = Bundle::parse(json.as_bytes())
                    .or_fail(|| format!("statement about key `{}`", key.hint))?;
                seen.look(&bundle, logs);
                number += 1;
                archive.add(&key_event_file(number, &event), json.as_bytes())?;
            }
        }
        Ok(())
    }

    async fn salts(&self, manifests: &[Manifest], archive: &mut Writer) -> Outcome {
        let fetch = async |manifest: &Manifest| {
            self.client.get(&["v1", "manifests", &manifest.id.to_string(), "salt"], &[]).await
        };
        let mut salts = futures::stream::iter(manifests).map(fetch).buffered(PARALLEL);
        let mut spool = Spool::new()?;
        while let Some(salt) = salts.next().await {
            spool.write(format!("{}\n", salt?).as_bytes())?;
        }
        archive.add_spooled(SALTS, &mut spool)
    }

    /// The newest checkpoint of each log, and that it continues every state that a bundle proves to.
    async fn logs(&self, seen: &Seen, logs: &TrustedRoot, archive: &mut Writer) -> Outcome {
        let mut proofs = Vec::new();
        for log in &logs.logs {
            let origin = log.origin();
            let of_it = seen.states.iter().filter(|(of, _)| of == origin).map(|(_, size)| *size);
            let sizes: Vec<u64> = of_it.collect();
            if sizes.is_empty() {
                continue;
            }
            let files = LogFiles { client: self.client, origin };
            let note = files.checkpoint().await?;
            let newest = Checkpoint::open(&note, log.key())
                .or_fail(|| format!("the checkpoint of log `{origin}` cannot be used"))?;
            archive.add(&format!("{CHECKPOINTS}{origin}"), note.as_bytes())?;
            let mut tiles = BTreeMap::new();
            for size in sizes {
                let proof = files.consistency(size, newest.size(), &mut tiles).await?;
                proofs.push(Consistency { origin: origin.to_owned(), size, proof });
            }
        }
        let text = serde_json::to_vec(&proofs).or_fail(|| "cannot write JSON".to_owned())?;
        archive.add(CONSISTENCY, &text)
    }
}

/// The files of one log.
struct LogFiles<'a> {
    client: &'a Client,
    origin: &'a str,
}

impl LogFiles<'_> {
    async fn get(&self, path: &str) -> Outcome<Vec<u8>> {
        let path: Vec<&str> =
            ["v1", "logs", self.origin].into_iter().chain(path.split('/')).collect();
        self.client.bytes(&path).await
    }

    async fn checkpoint(&self) -> Outcome<String> {
        String::from_utf8(self.get("checkpoint").await?)
            .or_fail(|| format!("the checkpoint of log `{}` is not text", self.origin))
    }

    async fn consistency(
        &self,
        from: u64,
        to: u64,
        tiles: &mut BTreeMap<Tile, Vec<Sha256Digest>>,
    ) -> Outcome<Vec<Sha256Digest>> {
        let origin = self.origin;
        let doing = || format!("cannot prove that log `{origin}` of {to} entries continues {from}");
        for tile in consistency_tiles(from, to).ok_or_else(|| Failure::new(doing()))? {
            if let Entry::Vacant(unknown) = tiles.entry(tile) {
                let bytes = self.get(&tile.to_string()).await?;
                unknown.insert(tile.parse_hashes(&bytes).or_fail(doing)?);
            }
        }
        prove_consistency(from, to, |tile| tiles.get(&tile).cloned().ok_or("absent")).or_fail(doing)
    }
}

impl Seen {
    fn look(&mut self, bundle: &Bundle, logs: &TrustedRoot) {
        for entry in &bundle.verification_material.tlog_entries {
            if let Some(log) = logs.log(&entry.log_id.key_id) {
                self.states.insert((log.origin().to_owned(), entry.inclusion_proof.tree_size));
            }
        }
    }
}

/// Calls `take` with each line of a stream, without its newline.
async fn each_line(
    mut stream: impl Stream<Item = Outcome<Vec<u8>>> + Unpin,
    mut take: impl FnMut(&[u8]) -> Outcome,
) -> Outcome {
    let mut rest = Vec::new();
    while let Some(part) = stream.next().await {
        rest.extend_from_slice(&part?);
        let lines = rest.split_inclusive(|byte| *byte == b'\n');
        let mut left = Vec::new();
        for line in lines {
            match line.strip_suffix(b"\n") {
                Some(line) => take(line)?,
                None => left = line.to_vec(),
            }
        }
        rest = left;
        if rest.len() > MAX_LINE {
            return Err(Failure::new("the server's export is malformed"));
        }
    }
    if rest.is_empty() {
        return Ok(());
    }
    Err(Failure::new("the export broke off in the middle of a decision"))
}
