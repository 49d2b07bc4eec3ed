use sentinel_api::{
    DestroyAnswer, DestroyRequest, EndSigningKey, List, ManifestRecord, Salt, SignAnswer,
    SignRequest, SigningKey, SigningKeys, Tombstone, VerifyAnswer,
};
use sentinel_core::id::ManifestId;

use crate::{Client, Error, Pages};

impl Client {
    /// Makes a manifest of what an agent did; it is on disk when this returns.
    ///
    /// # Errors
    /// When the server does not answer, refuses, or its answer is not a manifest.
    pub async fn sign(&self, request: &SignRequest) -> Result<SignAnswer, Error> {
        self.post(&["provenance", "sign"], request).await
    }

    /// A manifest, and what the server finds when it verifies it.
    ///
    /// # Errors
    /// When the server does not answer, refuses, or its answer is not a verification.
    pub async fn verify(&self, id: ManifestId) -> Result<VerifyAnswer, Error> {
        self.get(&["provenance", "verify", &id.to_string()], &[]).await
    }

    /// Manifests, newest first; of one tenant, or all that the caller may see.
    #[must_use]
    pub fn manifests(&self, tenant: Option<&str>) -> Pages<'_, ManifestRecord> {
        self.pages(&["v1", "manifests"], &[("tenant", tenant.map(str::to_owned))])
    }

    /// A manifest's Sigstore bundle, exactly as it is stored.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn bundle(&self, id: ManifestId) -> Result<Vec<u8>, Error> {
        self.bytes(&["v1", "manifests", &id.to_string(), "bundle"]).await
    }

    /// The payload of a manifest, exactly as it was signed.
    ///
    /// # Errors
    /// When the server does not answer, or refuses (404 when it is not kept, 410 when it was
    /// destroyed).
    pub async fn payload(&self, id: ManifestId) -> Result<Vec<u8>, Error> {
        self.bytes(&["v1", "manifests", &id.to_string(), "payload"]).await
    }

    /// The salt of a manifest's payload commitment.
    ///
    /// # Errors
    /// When the server does not answer, refuses, or its answer is not a salt.
    pub async fn salt(&self, id: ManifestId) -> Result<Salt, Error> {
        self.get(&["v1", "manifests", &id.to_string(), "salt"], &[]).await
    }

    /// What verifiers need to trust the logs of this deployment, JSON.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn trusted_root(&self) -> Result<Vec<u8>, Error> {
        self.bytes(&["v1", "trusted-root"]).await
    }

    /// A file of the log `origin`, such as `checkpoint`.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn log_file(&self, origin: &str, path: &str) -> Result<Vec<u8>, Error> {
        let path: Vec<&str> = ["v1", "logs", origin].into_iter().chain(path.split('/')).collect();
        self.bytes(&path).await
    }

    /// Every key that ever signed here, and what became of it.
    ///
    /// # Errors
    /// When the server does not answer, refuses, or its answer is not a list of keys.
    pub async fn signing_keys(&self) -> Result<SigningKeys, Error> {
        self.get(&["v1", "provenance", "keys"], &[]).await
    }

    /// Logs that a key signs no more.
    ///
    /// # Errors
    /// When the server does not answer, refuses, or its answer is not a key.
    pub async fn retire_signing_key(&self, end: &EndSigningKey) -> Result<SigningKey, Error> {
        self.post(&["v1", "provenance", "keys", "retire"], end).await
    }

    /// Logs that a key is in the wrong hands.
    ///
    /// # Errors
    /// When the server does not answer, refuses, or its answer is not a key.
    pub async fn revoke_signing_key(&self, end: &EndSigningKey) -> Result<SigningKey, Error> {
        self.post(&["v1", "provenance", "keys", "revoke"], end).await
    }

    /// Destroys every payload and salt of a tenant so far, for good.
    ///
    /// # Errors
    /// When the server does not answer, refuses, or its answer is not a tombstone.
    pub async fn destroy_payloads(&self, request: &DestroyRequest) -> Result<DestroyAnswer, Error> {
        self.post(&["v1", "payload-keys", "destroy"], request).await
    }

    /// What was destroyed, oldest first; of one tenant, or of all that the caller may see.
    ///
    /// # Errors
    /// When the server does not answer, refuses, or its answer is not a listing.
    pub async fn tombstones(&self, tenant: Option<&str>) -> Result<List<Tombstone>, Error> {
        self.get(&["v1", "tombstones"], &[("tenant", tenant.map(str::to_owned))]).await
    }
}
