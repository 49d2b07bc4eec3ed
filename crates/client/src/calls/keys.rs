use reqwest::Method;
use sentinel_api::{ApiKey, KeyRequest, NewApiKey};
use sentinel_core::id::KeyId;

use crate::client::json;
use crate::{Client, Error, Pages};

impl Client {
    /// Makes an API key; the answer is the only place where it is shown.
    ///
    /// # Errors
    /// When the server does not answer, refuses, or its answer is not a key.
    pub async fn create_key(&self, request: &KeyRequest) -> Result<NewApiKey, Error> {
        self.post(&["v1", "keys"], request).await
    }

    /// Every API key, newest first, without the keys themselves.
    #[must_use]
    pub fn keys(&self) -> Pages<'_, ApiKey> {
        self.pages(&["v1", "keys"], &[])
    }

    /// Revokes an API key at once.
    ///
    /// # Errors
    /// When the server does not answer, refuses, or its answer is not a key.
    pub async fn revoke_key(&self, id: KeyId) -> Result<ApiKey, Error> {
        let request = self.request(Method::DELETE, &["v1", "keys", &id.to_string()], &[])?;
        json(&self.body(self.send(request).await?).await?)
    }
}
