use futures::{Stream, StreamExt as _};
use reqwest::Method;
use sentinel_api::{Decision, QuotaUsage, Verdict};
use sentinel_core::id::DecisionId;

use crate::{Client, Error, Pages};

/// Which decisions are wanted; every field narrows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DecisionFilter {
    /// Slug of a tenant.
    pub tenant: Option<String>,
    /// Name of a tool.
    pub tool: Option<String>,
    /// Name of an agent.
    pub agent: Option<String>,
    pub verdict: Option<Verdict>,
    /// A reason code.
    pub code: Option<String>,
    /// From this time on, RFC 3339.
    pub from: Option<String>,
    /// Before this time, RFC 3339.
    pub to: Option<String>,
}

impl DecisionFilter {
    fn query(&self) -> [(&'static str, Option<String>); 7] {
        [
            ("tenant", self.tenant.clone()),
            ("tool", self.tool.clone()),
            ("agent", self.agent.clone()),
            ("decision", self.verdict.map(|verdict| verdict.as_str().to_owned())),
            ("code", self.code.clone()),
            ("from", self.from.clone()),
            ("to", self.to.clone()),
        ]
    }
}

impl Client {
    /// Recorded decisions, newest first.
    #[must_use]
    pub fn decisions(&self, filter: &DecisionFilter) -> Pages<'_, Decision> {
        self.pages(&["v1", "decisions"], &filter.query())
    }

    /// One recorded decision.
    ///
    /// # Errors
    /// When the server does not answer, refuses (404 `unknown_decision`), or its answer is not a
    /// decision.
    pub async fn decision(&self, id: DecisionId) -> Result<Decision, Error> {
        self.get(&["v1", "decisions", &id.to_string()], &[]).await
    }

    /// Every decision that matches, newest first: the bytes of one JSON object a line, in pieces of
    /// any size. An export that ends with `None` after a line break is complete.
    ///
    /// # Errors
    /// When the server does not answer, or refuses; an item is one when the connection breaks.
    pub async fn export(
        &self,
        filter: &DecisionFilter,
    ) -> Result<impl Stream<Item = Result<Vec<u8>, Error>> + Unpin + use<>, Error> {
        let request = self.request(Method::GET, &["v1", "decisions", "export"], &filter.query())?;
        let response = self.send_for_stream(request).await?;
        let client = self.clone();
        Ok(response.bytes_stream().map(move |part| {
            part.map(|bytes| bytes.to_vec()).map_err(|error| client.interrupted(&error))
        }))
    }

    /// What is used of each tool's quota, of one tenant or of all that the caller may see.
    #[must_use]
    pub fn quotas(&self, tenant: Option<&str>) -> Pages<'_, QuotaUsage> {
        self.pages(&["v1", "quotas"], &[("tenant", tenant.map(str::to_owned))])
    }
}
