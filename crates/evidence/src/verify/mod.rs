//! Verification of an archive, which is read once, from its beginning to its end.

mod files;
mod keys;
mod listings;
mod logs;
mod problems;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::read::GzDecoder;
use sentinel_provenance::log::{TrustedRoot, WitnessPolicy};
use sentinel_provenance::{Bundle, CheckName, Outcome, PublicKey, Trust};
use tar::{Archive, EntryType};
use uuid::Uuid;

use self::files::Files;
use self::keys::Keys;
use self::listings::Listings;
use self::logs::Logs;
pub use self::problems::Check;
use self::problems::{Problems, Unsound};
use crate::Error;
use crate::hashing::Hashing;
use crate::layout::{
    ABOUT, BUNDLES, CHECKPOINTS, CONSISTENCY, DECISIONS, KEY_EVENTS, KEYS, MANIFESTS, SUMS,
    TRUSTED_ROOT, bundle_file, inner_path,
};

/// Largest file that is read as a whole, in bytes.
const MAX_DOCUMENT: u64 = 64 * 1024 * 1024;

/// What is trusted before anything is read.
#[derive(Debug, Clone, Default)]
pub struct Trusting {
    /// Keys that sign manifests. When there are none, those in the archive are trusted: then the
    /// verification shows that the archive agrees with itself, and not who made it.
    pub keys: Vec<PublicKey>,
    /// The logs, in place of those in the archive.
    pub root: Option<TrustedRoot>,
    /// Who must have cosigned each bundle's checkpoint.
    pub witnesses: Option<WitnessPolicy>,
}

/// Verifies an archive: each thing that was checked, with what is wrong with it.
///
/// # Errors
/// When the archive cannot be read to its end, or has what no archive has: then nothing is
/// verified.
pub fn verify(archive: &Path, trusting: Trusting) -> Result<Vec<Check>, Error> {
    let mut evidence = Evidence::new(trusting);
    evidence.read(archive)?;
    Ok(evidence.finish())
}

/// What was read so far, and what is wrong with it.
struct Evidence {
    files: Files,
    keys: Keys,
    logs: Logs,
    listings: Listings,
    bundles: BTreeSet<Uuid>,
    of_bundles: Problems,
}

impl Evidence {
    fn new(Trusting { keys, root, witnesses }: Trusting) -> Self {
        Self {
            files: Files::default(),
            keys: Keys::new(keys),
            logs: Logs::new(root, witnesses),
            listings: Listings::default(),
            bundles: BTreeSet::new(),
            of_bundles: Problems::default(),
        }
    }

    fn read(&mut self, path: &Path) -> Result<(), Error> {
        let place = || path.display().to_string();
        let unsound = |cause| Error::NotAnArchive { place: place(), cause };
        let file = File::open(path).map_err(|cause| Error::Read { place: place(), cause })?;
        let mut archive = Archive::new(GzDecoder::new(BufReader::new(file)));
        let mut folder = None;
        for entry in archive.entries().map_err(unsound)? {
            let entry = entry.map_err(unsound)?;
            let inside = inner_path(&entry.path_bytes(), &mut folder)?;
            if entry.header().entry_type() != EntryType::Regular {
                return Err(Error::NotAFile { place: place(), path: inside });
            }
            let size = entry.size();
            let mut content = Hashing::new(entry);
            self.file(&inside, size, &mut content)?;
            io::copy(&mut content, &mut io::sink()).map_err(unsound)?;
            self.files.found(&inside, content.digest());
        }
        // What follows the archive is part of no file; a cut shows here.
        let mut rest = archive.into_inner();
        io::copy(&mut rest, &mut io::sink()).map_err(unsound)?;
        Ok(())
    }

    fn file(&mut self, path: &str, size: u64, content: &mut impl Read) -> Result<(), Error> {
        match path {
            MANIFESTS => return self.listings.manifests(content),
            DECISIONS => return self.listings.decisions(content),
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
            self.files.problems.add(format!("`{path}` is too large"));
            return Ok(());
        }
        let mut bytes = Vec::new();
        let read = content.read_to_end(&mut bytes);
        read.map_err(|cause| Error::Read { place: path.to_owned(), cause })?;
        self.document(path, bytes);
        Ok(())
    }

    fn document(&mut self, path: &str, bytes: Vec<u8>) {
        let text = String::from_utf8_lossy(&bytes);
        match path {
            TRUSTED_ROOT => {
                if let Err(error) = self.logs.root(&bytes) {
                    self.files.problems.add(format!("`{TRUSTED_ROOT}`: {error}"));
                }
            }
            ABOUT => self.files.about = self.files.json(path, &bytes),
            CONSISTENCY => {
                self.logs.consistency = self.files.json(path, &bytes).unwrap_or_default();
            }
            SUMS => self.files.sums(&text),
            _ if path.starts_with(BUNDLES) => self.bundle(path, &bytes),
            _ if path.starts_with(CHECKPOINTS) => {
                let origin = path.trim_start_matches(CHECKPOINTS).to_owned();
                self.logs.checkpoints.insert(origin, text.into_owned());
            }
            _ if path.starts_with(KEY_EVENTS) => self.keys.statement(path, bytes),
            _ => self.keys.file(path, &text),
        }
    }

    fn bundle(&mut self, path: &str, bytes: &[u8]) {
        let named = path.strip_prefix(BUNDLES).and_then(|name| name.strip_suffix(".json"));
        let id = named.and_then(|name| name.parse::<Uuid>().ok());
        let Some(id) = id.filter(|id| bundle_file(*id) == path) else {
            return self.listings.of_manifests.add(format!("`{path}` is not a manifest's bundle"));
        };
        self.bundles.insert(id);
        if let Err(why) = self.verify_bundle(id, bytes) {
            self.of_bundles.add(format!("`{path}`: {why}"));
        }
    }

    fn verify_bundle(&mut self, id: Uuid, bytes: &[u8]) -> Result<(), Unsound> {
        let bundle = Bundle::parse(bytes).map_err(|error| Unsound(error.to_string()))?;
        self.keys.read_statements(&mut self.logs);
        let logs = self.logs.trust.as_ref().ok_or("there is no trusted root before it")?;
        let events = self.keys.events().ok_or("what is known of keys cannot be used")?;
        let hint = bundle.hint();
        let key =
            events.key(hint).ok_or_else(|| Unsound(format!("key `{hint}` is not trusted")))?;
        let trust = Trust {
            key,
            logs: Some(logs),
            certificate: events.certificate(hint),
            revocations: Some(events.revocations()),
        };
        let verification = trust.verify(&bundle, None);
        let failed = verification.checks().iter().find(|check| check.outcome == Outcome::Failed);
        if let Some(failed) = failed {
            return Err(Unsound(format!("{}: {}", failed.name.as_str(), failed.detail)));
        }
        if verification.outcome(CheckName::Inclusion) != Some(Outcome::Passed) {
            return Err("it was not verified".into());
        }
        self.keys.used.insert(hint.to_owned());
        self.logs.prove(&bundle);
        let statement = verification.statement().ok_or("it was not verified")?;
        self.listings.signed(id, statement)
    }

    /// Compares what was read with each other.
    fn finish(mut self) -> Vec<Check> {
        self.files.compare();
        self.listings.compare_bundles(&self.bundles);
        if let Some(about) = &self.files.about {
            if about.version != crate::layout::VERSION {
                let version = about.version;
                self.files.problems.add(format!("the archive has version {version}"));
            }
            self.listings.compare_with(about);
        }
        self.listings.compare_decisions();
        self.logs.compare();
        self.keys.read_statements(&mut self.logs);
        let bundles = format!("{} signed, in the log, and as listed", self.bundles.len());
        let [manifests, decisions] = self.listings.checks();
        vec![
            self.files.check(),
            manifests,
            self.of_bundles.check("bundles", bundles),
            decisions,
            self.logs.check(),
            self.keys.check(),
        ]
    }
}
