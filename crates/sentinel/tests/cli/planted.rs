//! A log on disk, made as a server makes it, into which anything can be planted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sentinel_provenance::bundle::TransparencyLogEntry;
use sentinel_provenance::log::{
    Checkpoint, Ed25519NoteSigner, Frontier, Growth, HashedRekord, NoteSigner as _, Tile, TilePath,
    TrustedLog, TrustedRoot, encode_entries, leaf_hash, log_files, prove_inclusion,
};
use sentinel_provenance::{
    AgentAction, Bundle, EcdsaP256Signer, Envelope, KeyEventKind, Phase, Predicate, PublicKey,
    Sha256Digest, Signer as _, SigningKeyEvent, Statement,
};

pub(crate) struct PlantedLog {
    pub(crate) log: Ed25519NoteSigner,
    pub(crate) signer: EcdsaP256Signer,
    envelopes: Vec<(Envelope, PublicKey)>,
    pub(crate) leaves: Vec<Vec<u8>>,
    pub(crate) directory: PathBuf,
}

impl PlantedLog {
    /// A log of `size` signed entries, written below `directory`.
    pub(crate) fn new(directory: &Path, size: u64) -> Self {
        Self::named("log.example", directory, size)
    }

    pub(crate) fn named(origin: &str, directory: &Path, size: u64) -> Self {
        let mut it = Self {
            log: Ed25519NoteSigner::generate(origin).unwrap(),
            signer: EcdsaP256Signer::generate().unwrap(),
            envelopes: Vec::new(),
            leaves: Vec::new(),
            directory: directory.to_owned(),
        };
        it.grow(size);
        it.publish();
        it
    }

    /// Appends entries, without writing anything.
    pub(crate) fn grow(&mut self, by: u64) {
        for _ in 0..by {
            let envelope = self.envelope(self.leaves.len());
            self.push(envelope, self.signer.public_key().clone());
        }
    }

    /// Appends a statement about an action; gives its index.
    pub(crate) fn manifest(&mut self) -> usize {
        self.manifest_at("2026-11-22T20:13:00.000Z")
    }

    pub(crate) fn manifest_at(&mut self, time: &str) -> usize {
        let id: uuid::Uuid = "0193a1f2-7b3c-7def-8a12-34567890abcd".parse().unwrap();
        let action = AgentAction {
            id,
            phase: Phase::Outcome,
            timestamp: time.parse().unwrap(),
            tenant: "secops".into(),
            tool: "incident-response-runbook".into(),
            action: "read".into(),
            purpose: None,
            agent: None,
            principal: "key:42".into(),
            decision: None,
            checkpoint: None,
            metadata: Default::default(),
        };
        let statement = Statement::new(action, Sha256Digest::of(b"artifact")).unwrap();
        let envelope = Envelope::sign(statement.to_bytes().unwrap(), &self.signer).unwrap();
        self.push(envelope, self.signer.public_key().clone())
    }

    /// Appends a statement that `signer` makes; gives its index.
    pub(crate) fn state<P: Predicate>(&mut self, predicate: P, signer: &EcdsaP256Signer) -> usize {
        let statement = Statement::new(predicate, Sha256Digest::of(b"subject")).unwrap();
        let envelope = Envelope::sign(statement.to_bytes().unwrap(), signer).unwrap();
        self.push(envelope, signer.public_key().clone())
    }

    /// Appends what `signer` says happened to the key of this log's entries.
    pub(crate) fn key_event(&mut self, event: KeyEventKind, signer: &EcdsaP256Signer) -> usize {
        let key = self.signer.public_key().clone();
        self.key_event_of(&key, event, signer)
    }

    pub(crate) fn key_event_of(
        &mut self,
        key: &PublicKey,
        event: KeyEventKind,
        signer: &EcdsaP256Signer,
    ) -> usize {
        let event = SigningKeyEvent {
            id: "0193a1f2-7b3c-7def-8a12-34567890abce".parse().unwrap(),
            timestamp: "2026-11-22T20:13:00.000Z".parse().unwrap(),
            event,
            hint: key.hint().to_owned(),
            public_key: key.to_spki_pem().unwrap(),
            not_after: (event == KeyEventKind::Certified)
                .then(|| "2026-11-23T20:13:00Z".parse().unwrap()),
            reason: None,
        };
        let subject = Sha256Digest::of(event.public_key.as_bytes());
        let statement = Statement::new(event, subject).unwrap();
        let envelope = Envelope::sign(statement.to_bytes().unwrap(), signer).unwrap();
        self.push(envelope, signer.public_key().clone())
    }

    /// The key of the entries, for statements that it makes itself.
    pub(crate) fn signer_clone(&self) -> EcdsaP256Signer {
        EcdsaP256Signer::from_pkcs8_pem(&self.signer.to_pkcs8_pem().unwrap()).unwrap()
    }

    fn push(&mut self, envelope: Envelope, key: PublicKey) -> usize {
        self.leaves.push(HashedRekord::of(&envelope, &key).to_bytes());
        self.envelopes.push((envelope, key));
        self.leaves.len() - 1
    }

    pub(crate) fn trusted_root(&self) -> Vec<u8> {
        Self::trusted_root_of(&[self])
    }

    /// The logs, each a month after the one before.
    pub(crate) fn trusted_root_of(logs: &[&Self]) -> Vec<u8> {
        let log = |(month, it): (usize, &&Self)| {
            let since = format!("2026-{:02}-01T00:00:00Z", month + 1).parse().unwrap();
            TrustedLog::new(it.log.verifier_key().clone(), since).unwrap()
        };
        TrustedRoot { logs: logs.iter().enumerate().map(log).collect() }.to_json().unwrap()
    }

    pub(crate) fn envelope(&self, n: usize) -> Envelope {
        Envelope::sign(format!(r#"{{"n":{n}}}"#).into_bytes(), &self.signer).unwrap()
    }

    pub(crate) fn leaf(&self, envelope: &Envelope) -> Vec<u8> {
        HashedRekord::of(envelope, self.signer.public_key()).to_bytes()
    }

    pub(crate) fn key(&self) -> String {
        self.log.verifier_key().to_string()
    }

    fn tree(&self, leaves: &[Vec<u8>]) -> (BTreeMap<Tile, Vec<Sha256Digest>>, Frontier) {
        let hashes: Vec<_> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
        let growth = Growth::of(&Frontier::new(), &hashes, |_| Err("none")).unwrap();
        (growth.tiles.into_iter().collect(), growth.frontier)
    }

    /// The checkpoint of the first `size` entries.
    pub(crate) fn checkpoint(&self, size: usize) -> String {
        let root = self.tree(&self.leaves[..size]).1.root();
        let checkpoint =
            Checkpoint::new(self.log.verifier_key().name().as_str(), size as u64, root).unwrap();
        checkpoint.sign(&self.log).unwrap().to_string()
    }

    /// Writes entries, tiles and checkpoint.
    pub(crate) fn publish(&self) {
        self.write_entries();
        self.write_tiles();
        self.write("checkpoint", self.checkpoint(self.leaves.len()).as_bytes());
    }

    pub(crate) fn write_entries(&self) {
        for path in log_files(self.leaves.len() as u64) {
            if let TilePath::Entries(tile) = path {
                let first = usize::try_from(tile.index()).unwrap() * 256;
                let entries = &self.leaves[first..first + usize::from(tile.width())];
                self.write(&path.to_string(), &encode_entries(entries).unwrap());
            }
        }
    }

    pub(crate) fn write_tiles(&self) {
        let (tiles, _) = self.tree(&self.leaves);
        for (tile, hashes) in tiles {
            self.write(&tile.to_string(), &Tile::write_hashes(&hashes));
        }
    }

    pub(crate) fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.directory.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub(crate) fn remove(&self, path: &str) {
        std::fs::remove_file(self.directory.join(path)).unwrap();
    }

    /// What proves entry `index` up to now.
    pub(crate) fn bundle(&self, index: usize) -> Vec<u8> {
        let size = self.leaves.len();
        let (tiles, _) = self.tree(&self.leaves);
        let proof = prove_inclusion(index as u64, size as u64, |tile| {
            tiles.get(&tile).cloned().ok_or("no tile")
        });
        let key = self.log.verifier_key();
        let signed = Checkpoint::open(&self.checkpoint(size), key).unwrap();
        let leaf = HashedRekord::parse(&self.leaves[index]).unwrap();
        let entry =
            TransparencyLogEntry::new(key, &leaf, index as u64, proof.unwrap(), &signed).unwrap();
        let (envelope, signer) = &self.envelopes[index];
        let bundle = Bundle::new(envelope.clone(), signer).unwrap();
        bundle.with_log_entry(entry).unwrap().to_json().unwrap()
    }
}
