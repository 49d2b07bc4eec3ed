//! What was seen of a log while servers were killed, and whether it is all one history.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sentinel_provenance::log::{
    Checkpoint, EntryTile, Frontier, Growth, HashedRekord, Tile, TrustedRoot, leaf_hash,
    parse_entries,
};
use sentinel_provenance::{LogTrust, PublicKey, verify_logged_bundle_json};
use sentinel_testkit::ending::EndOf;
use serde_json::{Value, json};

use crate::client::Client;

/// A manifest that was acknowledged.
struct Signed {
    manifest: String,
    signature: String,
    index: u64,
}

/// Everything that servers said of the log.
#[derive(Default)]
pub(crate) struct History {
    signed: Mutex<Vec<Signed>>,
    /// In the order in which they were fetched, one after the other.
    notes: Mutex<Vec<String>>,
    over: AtomicBool,
}

impl History {
    /// The test is over when this is dropped.
    pub(crate) const fn end(&self) -> EndOf<'_> {
        EndOf(&self.over)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    pub(crate) fn count(&self) -> usize {
        self.signed.lock().unwrap().len()
    }

    /// The size of the newest checkpoint that was seen.
    pub(crate) fn size(&self) -> u64 {
        let notes = self.notes.lock().unwrap();
        let size = notes.last().and_then(|note| note.lines().nth(1)?.parse().ok());
        size.unwrap_or_default()
    }

    /// Signs until the server is gone, or the test over.
    pub(crate) fn sign(&self, url: &str, key: &str, tenant: &str, tool: &str) {
        let mut client = Client::new(url, key);
        let body = json!({
            "tenant_slug": tenant, "tool_name": tool, "action": "read", "payload": {"n": 1},
        });
        while !self.is_over() {
            let Some(answer) = client.try_send("POST", "/provenance/sign", &body) else { return };
            if answer.status != 201 {
                // A replica may lose its connections to the database; it acknowledged nothing.
                assert_eq!(answer.status, 503, "{:?}", answer.body);
                continue;
            }
            let text = |name: &str| answer.body[name].as_str().unwrap().to_owned();
            self.signed.lock().unwrap().push(Signed {
                manifest: text("manifest_id"),
                signature: text("signature"),
                index: answer.body["log_index"].as_u64().expect("log_index"),
            });
        }
    }

    /// Fetches one checkpoint.
    pub(crate) fn look(&self, client: &mut Client) {
        let Some(answer) = client.try_send("GET", "/v1/log/checkpoint", &Value::Null) else {
            return;
        };
        if answer.status == 200 {
            let note = String::from_utf8(answer.bytes).unwrap();
            let mut notes = self.notes.lock().unwrap();
            if notes.last() != Some(&note) {
                notes.push(note);
            }
        }
    }

    /// Waits until a checkpoint covers all that was acknowledged, then reads the whole log.
    #[track_caller]
    pub(crate) fn assert_one(&self, url: &str, key: &str) {
        let mut client = Client::new(url, key);
        let signed = self.signed.lock().unwrap();
        let last = signed.iter().map(|signed| signed.index).max().expect("nothing was signed");
        let started = Instant::now();
        while self.size() <= last {
            assert!(started.elapsed() < Duration::from_secs(10), "the log does not go on");
            std::thread::sleep(Duration::from_millis(20));
            self.look(&mut client);
        }
        let root = TrustedRoot::parse(&client.get("/v1/trusted-root").bytes).unwrap();
        let notes = self.notes.lock().unwrap();
        let log = root.logs[0].key();
        let checkpoints: Vec<_> =
            notes.iter().map(|note| Checkpoint::open(note, log).unwrap()).collect();
        let sizes: Vec<_> = checkpoints.iter().map(|signed| signed.size()).collect();
        assert!(sizes.is_sorted_by(|one, next| one < next), "a checkpoint went back: {sizes:?}");

        let size = *sizes.last().unwrap();
        let leaves = read_leaves(&mut client, size);
        let mut frontier = Frontier::new();
        let mut roots = BTreeMap::new();
        let hashes: Vec<_> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
        for hash in &hashes {
            frontier.append(*hash).unwrap();
            roots.insert(frontier.size(), frontier.root());
        }
        for signed in &checkpoints {
            assert_eq!(Some(&signed.root()), roots.get(&signed.size()), "at {}", signed.size());
        }
        let clean = Growth::of(&Frontier::new(), &hashes, |_| Err("no tile")).unwrap();
        for (tile, hashes) in &clean.tiles {
            let served = client.get(&format!("/v1/log/{tile}")).bytes;
            assert_eq!(served, Tile::write_hashes(hashes), "{tile}");
        }
        assert_each_is_there_once(&signed, &leaves);
        let key = client.get("/v1/provenance/public-key").bytes;
        let key = PublicKey::from_spki_pem(str::from_utf8(&key).unwrap()).unwrap();
        let trust = LogTrust { root, witnesses: None };
        for signed in signed.iter().step_by(signed.len().div_ceil(50)) {
            let bundle = client.get(&format!("/v1/manifests/{}/bundle", signed.manifest));
            let entry = &bundle.body["verificationMaterial"]["tlogEntries"][0];
            assert_eq!(entry["logIndex"], signed.index.to_string());
            let verified = verify_logged_bundle_json(&bundle.bytes, &key, &trust, None);
            assert!(verified.verified(), "{:?}", verified.checks());
        }
    }
}

fn read_leaves(client: &mut Client, size: u64) -> Vec<Vec<u8>> {
    let mut leaves = Vec::new();
    for tile in (0..).map_while(|index| EntryTile::in_tree(index, size)) {
        let served = client.get(&format!("/v1/log/{tile}")).bytes;
        let entries = parse_entries(&served, tile.width()).unwrap();
        leaves.extend(entries.into_iter().map(<[u8]>::to_vec));
    }
    assert_eq!(leaves.len() as u64, size);
    leaves
}

fn assert_each_is_there_once(signed: &[Signed], leaves: &[Vec<u8>]) {
    let mut found = BTreeMap::<String, Vec<u64>>::new();
    for (leaf, index) in leaves.iter().zip(0..) {
        let signature = HashedRekord::parse(leaf).unwrap().signature().to_base64();
        found.entry(signature).or_default().push(index);
    }
    for Signed { manifest, signature, index } in signed {
        assert_eq!(found.get(signature), Some(&vec![*index]), "acknowledged manifest {manifest}");
    }
}
