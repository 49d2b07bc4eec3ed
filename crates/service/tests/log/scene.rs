//! A log in a database of its own, and what must be true of it whatever happened.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};

use async_trait::async_trait;
use sentinel_core::id::TenantId;
use sentinel_core::log::LogPlace;
use sentinel_core::ports::LogStore;
use sentinel_core::ports::prelude::*;
use sentinel_core::store::Store;
use sentinel_provenance::log::{
    Checkpoint, Ed25519NoteSigner, Frontier, Growth, Tile, VerifierKey, leaf_hash,
};
use sentinel_provenance::{EcdsaP256Signer, SignError, Signer};
use sentinel_service::log::{CheckpointSigner, CheckpointSigners, TransparencyLog};
use sentinel_service::signing::{Signing, SigningKeys};
use sentinel_store_sqlite::SqliteStore;
use sentinel_testkit::build;
use sentinel_testkit::clock::ManualClock;
use tempfile::TempDir;
use tokio::sync::Semaphore;

/// Signs the statements of every server here.
static KEY: LazyLock<Arc<EcdsaP256Signer>> =
    LazyLock::new(|| Arc::new(EcdsaP256Signer::generate().unwrap()));

/// The key of a log, which remembers all that it signed.
#[derive(Debug)]
pub(crate) struct RecordingSigner {
    signer: Ed25519NoteSigner,
    pub(crate) signed: Mutex<Vec<String>>,
    /// Signatures that may be handed out; each takes one.
    pub(crate) permits: Semaphore,
}

impl RecordingSigner {
    pub(crate) fn new(origin: &str) -> Arc<Self> {
        let signer = Ed25519NoteSigner::from_seed(origin, &[7; 32]).unwrap();
        let permits = Semaphore::new(Semaphore::MAX_PERMITS);
        Arc::new(Self { signer, signed: Mutex::default(), permits })
    }

    pub(crate) fn signed(&self) -> Vec<String> {
        self.signed.lock().unwrap().clone()
    }
}

#[async_trait]
impl CheckpointSigner for RecordingSigner {
    fn verifier_key(&self) -> &VerifierKey {
        sentinel_provenance::log::NoteSigner::verifier_key(&self.signer)
    }

    async fn sign(&self, checkpoint: &Checkpoint) -> Result<String, SignError> {
        let note = checkpoint.sign(&self.signer)?.to_string();
        self.signed.lock().unwrap().push(note.clone());
        let permit = self.permits.acquire().await;
        permit.map_err(|_| SignError::Signer("the key service is away".to_owned()))?.forget();
        Ok(note)
    }
}

/// A database file.
pub(crate) struct Scene {
    pub(crate) folder: TempDir,
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) tenant: TenantId,
}

impl Scene {
    /// The log has begun. It has two leaves: its beginning, and the key that signs.
    pub(crate) async fn new() -> Self {
        let scene = Self::empty().await;
        open(scene.store.clone(), &[&RecordingSigner::new("log.example")]).await;
        scene
    }

    pub(crate) async fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = reopen(&folder).await;
        let tenant = build::tenant("acme");
        store.create_tenant(tenant.clone()).await.unwrap();
        Self { folder, store, tenant: tenant.id }
    }

    /// Stores manifests with leaves of no meaning.
    pub(crate) async fn append(&self, count: usize) -> Vec<LogPlace> {
        append(self.store.as_ref(), self.tenant, count).await
    }

    /// A database with the same tables, edited by `sql` behind the back of the store.
    pub(crate) async fn edited(self, sql: &str) -> Self {
        let Self { folder, store, tenant } = self;
        drop(store);
        let path = folder.path().join("sentinel.db");
        drop(reopen(&folder).await);
        let edited = rusqlite::Connection::open(&path).unwrap();
        loop {
            match edited.execute_batch(sql) {
                Ok(()) => break,
                Err(error) if error.to_string().contains("locked") => {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
        drop(edited);
        let store = reopen(&folder).await;
        Self { folder, store, tenant }
    }
}

/// The writer of an earlier run lets go of its lock a moment after its last user is gone.
pub(crate) async fn reopen(folder: &TempDir) -> Arc<SqliteStore> {
    let path = folder.path().join("sentinel.db");
    loop {
        match SqliteStore::open(&path) {
            Ok(store) => return Arc::new(store),
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
        }
    }
}

pub(crate) async fn append(store: &dyn Store, tenant: TenantId, count: usize) -> Vec<LogPlace> {
    let manifests =
        (0..count).map(|_| build::new_manifest(&build::manifest(tenant, "search"))).collect();
    store.insert_manifests(manifests).await.unwrap()
}

pub(crate) async fn open(
    store: Arc<dyn LogStore>,
    signers: &[&Arc<RecordingSigner>],
) -> TransparencyLog {
    try_open(store, signers).await.unwrap()
}

pub(crate) async fn try_open(
    store: Arc<dyn LogStore>,
    signers: &[&Arc<RecordingSigner>],
) -> Result<TransparencyLog, sentinel_service::ServiceError> {
    let signers: CheckpointSigners =
        signers.iter().map(|signer| Arc::clone(signer) as Arc<dyn CheckpointSigner>).collect();
    let clock = Arc::new(ManualClock::default());
    let signing = Signing::Direct(Arc::clone(&*KEY) as Arc<dyn Signer>);
    let keys = SigningKeys::new(signing, Vec::new(), Arc::clone(&store), clock.clone());
    TransparencyLog::open(store, signers, Arc::new(keys), clock).await
}

/// Whatever happened: the tree is the one that its leaves make at a stretch, its tiles included,
/// and of everything that was ever signed, all is true of it. Returns the size of each shard.
pub(crate) async fn assert_clean(store: &dyn LogStore, signers: &[&RecordingSigner]) -> Vec<u64> {
    let mut sizes = Vec::new();
    for shard in store.log_shards().await.unwrap() {
        let leaves = store.leaves(shard.ordinal, 0, u32::MAX).await.unwrap();
        let hashes: Vec<_> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
        let mut frontier = Frontier::new();
        let mut roots = BTreeMap::new();
        for hash in &hashes {
            frontier.append(*hash).unwrap();
            roots.insert(frontier.size(), frontier.root());
        }
        for signer in signers.iter().filter(|signer| {
            CheckpointSigner::verifier_key(**signer).to_string() == shard.verifier_key
        }) {
            for note in signer.signed() {
                let signed = Checkpoint::open(&note, signer.verifier_key()).unwrap();
                let size = signed.size();
                assert_eq!(Some(&signed.root()), roots.get(&size), "signed at {size}");
            }
        }
        let head = store.log_head(shard.ordinal).await.unwrap().unwrap();
        let sequenced = usize::try_from(head.size).unwrap();
        let clean = Growth::of(&Frontier::new(), &hashes[..sequenced], |_| Err("no tile")).unwrap();
        assert_eq!(head.frontier, clean.frontier.to_bytes(), "shard {}", shard.ordinal);
        for (tile, hashes) in &clean.tiles {
            let place = vec![(tile.level(), tile.index())];
            let stored = store.tiles(shard.ordinal, place).await.unwrap();
            assert_eq!(stored, [Some(Tile::write_hashes(hashes))], "{tile}");
        }
        sizes.push(head.size);
    }
    sizes
}
