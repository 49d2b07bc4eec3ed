//! Payloads that are kept, and destroyed with the key of their tenant.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use sentinel_core::id::{ManifestId, TenantId};
use sentinel_core::log::NewStatement;
use sentinel_core::payload::{DestroyedPayloads, PayloadKey, SealedPayload};
use sentinel_core::ports::PayloadStore;
use sentinel_core::ports::prelude::*;
use sentinel_core::store::StoreError;
use sentinel_provenance::{CheckName, Outcome};
use sentinel_service::payloads::{Kept, KeyWrapper, LocalKeyWrapper};
use sentinel_service::provenance::{SignRequest, Signed};
use sentinel_service::{Ports, ServiceError, Services, Settings};
use sentinel_store_sqlite::SqliteStore;
use sentinel_testkit::build::name;
use serde_json::Map;

use crate::support::{ADMIN, App, register};

const PAYLOAD: &[u8] = br#"{"card": "4711 0815", "n": 1.0}"#;

fn wrapper(byte: u8) -> Option<Arc<dyn KeyWrapper>> {
    Some(Arc::new(LocalKeyWrapper::new(&[byte; 32].into()).unwrap()))
}

/// A replica that keeps payloads.
async fn keeping(app: &App) -> Arc<Services> {
    let ports = Ports { key_wrapper: wrapper(1), ..app.ports() };
    Arc::new(Services::start(ports, Settings::default()).await.unwrap())
}

fn request(tenant: &str, keep_payload: bool) -> SignRequest {
    SignRequest {
        tenant: name(tenant),
        tool: name("runbook"),
        action: name("read"),
        purpose: None,
        agent: None,
        payload: PAYLOAD.to_vec(),
        keep_payload,
        decision_id: None,
        decision: None,
        idempotency_key: None,
        metadata: Map::new(),
    }
}

async fn sign(services: &Services, keep: bool) -> Signed {
    services.provenance.sign(&ADMIN, request("secops", keep)).await.unwrap()
}

async fn kept(services: &Services, id: ManifestId) -> Result<Vec<u8>, ServiceError> {
    let manifest = services.provenance.manifest(&ADMIN, id).await?.unwrap();
    Ok(services.payloads.payload(&manifest).await?.bytes.to_vec())
}

async fn destroy(services: &Services) -> Result<(u64, u32), ServiceError> {
    let destroyed = services.payloads.destroy(&ADMIN, &name("secops"), &name("erasure 7")).await?;
    Ok((destroyed.payloads, destroyed.tombstone.said.key_generation))
}

/// Whether the manifest verifies, and how the check of its payload ended.
async fn verify(services: &Services, id: ManifestId) -> (bool, Option<Outcome>) {
    let verified = services.provenance.verify(&ADMIN, id).await.unwrap().unwrap();
    (verified.verified(), verified.verification.outcome(CheckName::PayloadCommitment))
}

#[tokio::test]
async fn what_is_kept_comes_back_and_is_compared() {
    let app = App::start().await;
    let services = keeping(&app).await;
    let signed = sign(&services, true).await;
    assert_eq!(kept(&services, signed.manifest.id).await.unwrap(), PAYLOAD);
    assert_eq!(signed.manifest.key_generation, Some(1));
    let again = services.provenance.salt(&signed.manifest).await.unwrap();
    assert_eq!(again, signed.salt);
    assert_eq!(*signed.salt.commit(PAYLOAD).as_bytes(), signed.manifest.payload_digest);
    assert_eq!(verify(&services, signed.manifest.id).await, (true, Some(Outcome::Passed)));

    let bare = sign(&services, false).await;
    let missing = kept(&services, bare.manifest.id).await.unwrap_err();
    assert_eq!(missing.code(), "payload_not_kept");
    assert_eq!(bare.manifest.key_generation, Some(1));
    assert_eq!(verify(&services, bare.manifest.id).await, (true, Some(Outcome::Skipped)));
}

#[tokio::test]
async fn without_a_key_nothing_is_kept_and_salts_are_as_before() {
    let app = App::start().await;
    let refused = app.services.provenance.sign(&ADMIN, request("secops", true)).await.unwrap_err();
    assert_eq!(refused.code(), "payloads_not_kept");
    let signed = sign(&app.services, false).await;
    assert_eq!(signed.manifest.key_generation, None);
    // One that keeps payloads knows its salt still, also after the tenant's key is destroyed.
    let services = keeping(&app).await;
    sign(&services, true).await;
    destroy(&services).await.unwrap();
    let salt = services.provenance.salt(&signed.manifest).await.unwrap();
    assert_eq!(salt, signed.salt);
}

#[tokio::test]
async fn nothing_is_left_of_what_was_destroyed_but_its_manifests() {
    let app = App::start().await;
    register(&app.services, "beside", "runbook").await;
    let (services, other) = (keeping(&app).await, keeping(&app).await);
    let payload = sign(&services, true).await.manifest;
    let salt = sign(&services, false).await.manifest;
    let beside = services.provenance.sign(&ADMIN, request("beside", true)).await.unwrap();
    // In the memory of the other one, too.
    kept(&other, payload.id).await.unwrap();
    assert_eq!(destroy(&services).await.unwrap(), (1, 1));
    let tombstones = other.payloads.tombstones(&ADMIN, Some(&name("secops"))).await.unwrap();
    let [tombstone] = &tombstones[..] else { panic!("{tombstones:?}") };
    assert_eq!(tombstone.said.reason.as_deref(), Some("erasure 7"));
    for replica in [&services, &other] {
        let gone = [
            kept(replica, payload.id).await.unwrap_err(),
            kept(replica, salt.id).await.unwrap_err(),
            replica.provenance.salt(&payload).await.unwrap_err(),
            replica.provenance.salt(&salt).await.unwrap_err(),
        ];
        for error in gone {
            assert_eq!(error.code(), "payload_destroyed");
            assert!(error.to_string().contains(&tombstone.id.to_string()), "{error}");
        }
        assert_eq!(kept(replica, beside.manifest.id).await.unwrap(), PAYLOAD);
    }
    for id in [payload.id, salt.id] {
        assert_eq!(verify(&services, id).await, (true, Some(Outcome::Skipped)));
    }
    assert_eq!(destroy(&services).await.unwrap_err().code(), "no_payload_key");
    // The other one holds the destroyed key, and gets the next one.
    let next = sign(&other, true).await;
    assert_eq!(next.manifest.key_generation, Some(2));
    assert_eq!(kept(&services, next.manifest.id).await.unwrap(), PAYLOAD);
    assert_eq!(destroy(&other).await.unwrap(), (1, 2));
    let none = services.payloads.tombstones(&ADMIN, Some(&name("beside"))).await.unwrap();
    assert!(none.is_empty(), "{none:?}");
    let bundle = services.payloads.tombstone_bundle(&ADMIN, tombstone.id).await.unwrap().unwrap();
    assert!(String::from_utf8(bundle).unwrap().contains("inclusionProof"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_signs_meanwhile_gets_the_next_key() {
    let app = App::start().await;
    let replicas = [keeping(&app).await, keeping(&app).await];
    let signing = replicas.clone().map(|services| {
        tokio::spawn(async move {
            let mut signed = Vec::new();
            for _ in 0..120 {
                signed.push(sign(&services, true).await.manifest);
            }
            signed
        })
    });
    let mut destroyed = 0;
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(15)).await;
        destroyed += destroy(&replicas[0]).await.map_or(0, |(payloads, _)| payloads);
    }
    let mut left = 0;
    for signed in signing {
        for manifest in signed.await.unwrap() {
            match kept(&replicas[1], manifest.id).await {
                Ok(payload) => {
                    assert_eq!(payload, PAYLOAD);
                    left += 1;
                }
                Err(error) => assert_eq!(error.code(), "payload_destroyed"),
            }
        }
    }
    assert_eq!(destroyed + left, 240);
    assert!(destroyed > 0, "nothing was destroyed meanwhile");
}

#[tokio::test]
async fn another_key_of_the_deployment_or_none_is_refused_at_the_start() {
    let app = App::start().await;
    let services = keeping(&app).await;
    let signed = sign(&services, true).await;
    for (key_wrapper, why) in [(None, "none is configured"), (wrapper(2), "is another")] {
        let ports = Ports { key_wrapper, ..app.ports() };
        let refused = Services::start(ports, Settings::default()).await.unwrap_err();
        assert_eq!(refused.code(), "payload_key_missing");
        assert!(refused.to_string().contains(why), "{refused}");
    }
    assert_eq!(kept(&*keeping(&app).await, signed.manifest.id).await.unwrap(), PAYLOAD);
    // Once everything is destroyed there is nothing that could be lost.
    destroy(&services).await.unwrap();
    let ports = Ports { key_wrapper: None, ..app.ports() };
    let without = Services::start(ports, Settings::default()).await.unwrap();
    assert_eq!(kept(&without, signed.manifest.id).await.unwrap_err().code(), "payload_destroyed");
}

/// A database that somebody edited: one manifest's payload, or one tenant's key, in the place of
/// another's.
#[derive(Debug)]
struct Edited {
    inner: Arc<SqliteStore>,
    payload: (ManifestId, ManifestId),
    key: (TenantId, TenantId),
}

#[async_trait]
impl PayloadStore for Edited {
    async fn payload_key(&self, tenant: TenantId) -> Result<Option<PayloadKey>, StoreError> {
        self.inner.payload_key(tenant).await
    }

    async fn payload_key_of(
        &self,
        tenant: TenantId,
        generation: u32,
    ) -> Result<Option<PayloadKey>, StoreError> {
        let from = if tenant == self.key.0 { self.key.1 } else { tenant };
        let found = self.inner.payload_key_of(from, generation).await?;
        Ok(found.map(|key| PayloadKey { tenant_id: tenant, ..key }))
    }

    async fn live_payload_key(&self) -> Result<Option<PayloadKey>, StoreError> {
        self.inner.live_payload_key().await
    }

    async fn add_payload_key(&self, key: PayloadKey) -> Result<PayloadKey, StoreError> {
        self.inner.add_payload_key(key).await
    }

    async fn destroy_payload_key(
        &self,
        tenant: TenantId,
        generation: u32,
        at: Timestamp,
        tombstone: NewStatement,
    ) -> Result<Option<DestroyedPayloads>, StoreError> {
        self.inner.destroy_payload_key(tenant, generation, at, tombstone).await
    }

    async fn payload(&self, manifest: ManifestId) -> Result<Option<SealedPayload>, StoreError> {
        let from = if manifest == self.payload.0 { self.payload.1 } else { manifest };
        self.inner.payload(from).await
    }
}

#[tokio::test]
async fn what_was_moved_to_another_place_is_refused() {
    let app = App::start().await;
    register(&app.services, "beside", "runbook").await;
    let services = keeping(&app).await;
    let [first, second] =
        [sign(&services, true).await.manifest, sign(&services, true).await.manifest];
    let beside = services.provenance.sign(&ADMIN, request("beside", true)).await.unwrap().manifest;
    let untouched = (TenantId(uuid::Uuid::nil()), TenantId(uuid::Uuid::nil()));
    for from in [second.id, beside.id] {
        let inner = Arc::clone(&app.store);
        let edited = Edited { inner, payload: (first.id, from), key: untouched };
        let ports = Ports { payloads: Arc::new(edited), key_wrapper: wrapper(1), ..app.ports() };
        let reading = Services::start(ports, Settings::default()).await.unwrap();
        let refused = kept(&reading, first.id).await.unwrap_err();
        assert_eq!(refused.code(), "store_unavailable");
        let verified = reading.provenance.verify(&ADMIN, first.id).await.unwrap().unwrap();
        assert_eq!((verified.kept.clone(), verified.verified()), (Kept::Broken, false));
        assert_eq!(kept(&reading, second.id).await.unwrap(), PAYLOAD);
    }
    let key = (first.tenant_id, beside.tenant_id);
    let none = ManifestId(uuid::Uuid::nil());
    let edited = Edited { inner: Arc::clone(&app.store), payload: (none, none), key };
    let ports = Ports { payloads: Arc::new(edited), key_wrapper: wrapper(1), ..app.ports() };
    let reading = Services::start(ports, Settings::default()).await.unwrap();
    assert_eq!(kept(&reading, first.id).await.unwrap_err().code(), "store_unavailable");
    assert_eq!(kept(&reading, beside.id).await.unwrap(), PAYLOAD);
    assert!(app.store.manifest(first.id).await.unwrap().is_some());
}
