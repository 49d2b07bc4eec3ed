//! Collects from a server what an archive of evidence holds.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use jiff::Timestamp;
use sentinel_client::api::{Decision, ManifestRecord, SigningKeyEvent};
use sentinel_client::{DecisionFilter, Error};
use sentinel_core::id::ManifestId;
use sentinel_core::name::TenantSlug;
use sentinel_evidence::layout::{
    ABOUT, CONSISTENCY, DECISIONS, MANIFESTS, MAX_LINE, README, REPORT, SALTS, TRUSTED_ROOT,
    VERSION, bundle_file, key_event_file, key_file,
};
use sentinel_evidence::{About, Example, Report, Spool, Writer};
use sentinel_provenance::Bundle;
use sentinel_provenance::log::TrustedRoot;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::logs::{self, States, said};
use crate::client::{Client, OrExplain as _};
use crate::failure::{Failure, OrFail as _, Outcome};

/// How many bundles are fetched at a time.
const PARALLEL: usize = 8;
/// Manifests that are listed at a time.
const PAGE: usize = 1000;
/// How often a bundle is asked for that is not in the log yet, and how long apart.
const ATTEMPTS: usize = 20;
const PAUSE: Duration = Duration::from_millis(500);

/// What is wanted.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) tenant: TenantSlug,
    /// Not before this time.
    pub(super) from: Timestamp,
    /// Before this time.
    pub(super) to: Timestamp,
    pub(super) with_salts: bool,
}

/// Makes the archive, which must not be there yet.
///
/// # Errors
/// When the server does not send all of it, or the archive cannot be written.
pub(super) async fn collect(client: &Client, scope: Scope, archive: &Path) -> Outcome<About> {
    Collecting { client, scope }.write(archive).await
}

struct Collecting<'a> {
    client: &'a Client,
    scope: Scope,
}

/// What was seen in the bundles.
#[derive(Default)]
struct Seen {
    states: States,
    /// The first bundle, to show how one is verified.
    example: Option<Example>,
}

impl Collecting<'_> {
    async fn write(&self, place: &Path) -> Outcome<About> {
        let root = self.client.api.trusted_root().await.or_explain(self.client)?;
        let trusted = TrustedRoot::parse(&root)
            .or_fail(|| "the server's trusted root cannot be used".to_owned())?;
        let (mut listed, manifests) = self.manifests().await?;
        let mut report = Report::new().or_fail(collecting)?;
        let (mut decided, decisions) = self.decisions(&manifests, &mut report).await?;
        let about = About {
            version: VERSION,
            tenant: self.scope.tenant.as_str().to_owned(),
            from: self.scope.from,
            to: self.scope.to,
            decisions,
            manifests: manifests.len() as u64,
        };
        let folder = format!("evidence-{}", about.tenant);
        let mut archive = Writer::create(place, folder).map_err(said)?;
        archive.add(TRUSTED_ROOT, &root).map_err(said)?;
        let mut seen = Seen::default();
        self.keys(&trusted, &mut seen, &mut archive).await?;
        archive.add_spooled(MANIFESTS, &mut listed).map_err(said)?;
        archive.add_spooled(DECISIONS, &mut decided).map_err(said)?;
        self.bundles(&manifests, &trusted, &mut seen, &mut archive).await?;
        if self.scope.with_salts {
            self.salts(&manifests, &mut archive).await?;
        }
        let proofs = logs::collect(self.client, &seen.states, &trusted, &mut archive).await?;
        archive.add(CONSISTENCY, &json(serde_json::to_vec(&proofs))?).map_err(said)?;
        let mut page = report.finish(&about).map_err(said)?;
        archive.add_spooled(REPORT, &mut page).map_err(said)?;
        let readme = sentinel_evidence::readme(&about, seen.example.as_ref());
        archive.add(README, readme.as_bytes()).map_err(said)?;
        archive.add(ABOUT, &json(serde_json::to_vec_pretty(&about))?).map_err(said)?;
        archive.finish().map_err(said)?;
        Ok(about)
    }

    /// The manifests of that time, newest first, as the server lists them.
    async fn manifests(&self) -> Outcome<(Spool, Vec<ManifestRecord>)> {
        let (mut spool, mut manifests) = (Spool::new().or_fail(collecting)?, Vec::new());
        let query = [("tenant", Some(self.scope.tenant.as_str().to_owned()))];
        let mut pages = self.client.api.pages::<Box<RawValue>>(&["v1", "manifests"], &query);
        while let Some(page) = pages.next(PAGE).await.or_explain(self.client)? {
            for item in page {
                let manifest: ManifestRecord = serde_json::from_str(item.get())
                    .or_fail(|| "the server lists no manifests".to_owned())?;
                if manifest.created_at < self.scope.from {
                    return Ok((spool, manifests));
                }
                if manifest.created_at < self.scope.to {
                    // A line for each: JSON has line breaks between its parts only.
                    spool.write(item.get().replace('\n', " ").as_bytes()).map_err(said)?;
                    spool.write(b"\n").map_err(said)?;
                    manifests.push(manifest);
                }
            }
        }
        Ok((spool, manifests))
    }

    async fn decisions(
        &self,
        manifests: &[ManifestRecord],
        report: &mut Report,
    ) -> Outcome<(Spool, u64)> {
        let mut by_decision: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
        for manifest in manifests {
            if let Some(decision) = manifest.decision_id {
                by_decision.entry(decision.0).or_default().push(manifest.id.0);
            }
        }
        let filter = DecisionFilter {
            tenant: Some(self.scope.tenant.as_str().to_owned()),
            from: Some(self.scope.from.to_string()),
            to: Some(self.scope.to.to_string()),
            ..DecisionFilter::default()
        };
        let stream = self.client.api.export(&filter).await.or_explain(self.client)?;
        let (mut spool, mut count) = (Spool::new().or_fail(collecting)?, 0);
        let take = |line: &[u8]| {
            let decision: Decision = serde_json::from_slice(line)
                .or_fail(|| "the server exports no decisions".to_owned())?;
            report.decision(&decision, &by_decision).map_err(said)?;
            count += 1;
            spool.write(line).map_err(said)?;
            spool.write(b"\n").map_err(said)
        };
        each_line(self.client, stream, take).await?;
        Ok((spool, count))
    }

    async fn bundles(
        &self,
        manifests: &[ManifestRecord],
        trusted: &TrustedRoot,
        seen: &mut Seen,
        archive: &mut Writer,
    ) -> Outcome {
        let fetch = async |manifest: &ManifestRecord| {
            let id = manifest.id;
            self.logged_bundle(id, trusted).await.map(|(json, bundle)| (id.0, json, bundle))
        };
        let mut fetched = futures::stream::iter(manifests).map(fetch).buffered(PARALLEL);
        while let Some(bundle) = fetched.next().await {
            let (id, json, bundle) = bundle?;
            seen.look(&bundle, trusted);
            let key = key_file(bundle.hint());
            seen.example.get_or_insert_with(|| Example::of(id, &bundle, key));
            archive.add(&bundle_file(id), &json).map_err(said)?;
        }
        Ok(())
    }

    /// A bundle with its log entry, which it has a moment after the manifest was signed.
    async fn logged_bundle(
        &self,
        id: ManifestId,
        trusted: &TrustedRoot,
    ) -> Outcome<(Vec<u8>, Bundle)> {
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            let json = self.client.api.bundle(id).await.or_explain(self.client)?;
            let bundle = Bundle::parse(&json).or_fail(|| format!("bundle of manifest `{id}`"))?;
            let entries = &bundle.verification_material.tlog_entries;
            if entries.iter().any(|entry| trusted.log(&entry.log_id.key_id).is_some()) {
                return Ok((json, bundle));
            }
        }
        Err(Failure::new(format!("manifest `{id}` is not in the log yet"))
            .help("try again in a moment; `sentinel doctor` says whether the log is stuck"))
    }

    /// The keys that ever signed, and what became of them.
    async fn keys(&self, trusted: &TrustedRoot, seen: &mut Seen, archive: &mut Writer) -> Outcome {
        let keys = self.client.api.signing_keys().await.or_explain(self.client)?;
        let mut number = 0;
        for key in keys.items {
            archive.add(&key_file(&key.hint), key.public_key.as_bytes()).map_err(said)?;
            for SigningKeyEvent { event, bundle, .. } in key.events {
                let json = bundle.get();
                let bundle = Bundle::parse(json.as_bytes())
                    .or_fail(|| format!("statement about key `{}`", key.hint))?;
                seen.look(&bundle, trusted);
                number += 1;
                archive.add(&key_event_file(number, &event), json.as_bytes()).map_err(said)?;
            }
        }
        Ok(())
    }

    async fn salts(&self, manifests: &[ManifestRecord], archive: &mut Writer) -> Outcome {
        let fetch = async |manifest: &ManifestRecord| self.client.api.salt(manifest.id).await;
        let mut salts = futures::stream::iter(manifests).map(fetch).buffered(PARALLEL);
        let mut spool = Spool::new().or_fail(collecting)?;
        while let Some(salt) = salts.next().await {
            let salt = salt.or_explain(self.client)?;
            spool.write(&json(serde_json::to_vec(&salt))?).map_err(said)?;
            spool.write(b"\n").map_err(said)?;
        }
        archive.add_spooled(SALTS, &mut spool).map_err(said)
    }
}

impl Seen {
    fn look(&mut self, bundle: &Bundle, trusted: &TrustedRoot) {
        for entry in &bundle.verification_material.tlog_entries {
            if let Some(log) = trusted.log(&entry.log_id.key_id) {
                self.states.insert((log.origin().to_owned(), entry.inclusion_proof.tree_size));
            }
        }
    }
}

fn collecting() -> String {
    "cannot collect evidence".to_owned()
}

fn json(written: serde_json::Result<Vec<u8>>) -> Outcome<Vec<u8>> {
    written.or_fail(|| "cannot write JSON".to_owned())
}

/// Calls `take` with each line of a stream, without its newline.
async fn each_line(
    client: &Client,
    mut stream: impl Stream<Item = Result<Vec<u8>, Error>> + Unpin,
    mut take: impl FnMut(&[u8]) -> Outcome,
) -> Outcome {
    let mut rest = Vec::new();
    while let Some(part) = stream.next().await {
        rest.extend_from_slice(&part.or_explain(client)?);
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
