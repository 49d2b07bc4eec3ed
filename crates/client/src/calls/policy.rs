use reqwest::header::{CONTENT_TYPE, IF_MATCH};
use reqwest::{Method, RequestBuilder};
use sentinel_api::{
    PolicyChange, PolicyData, PolicyDataChange, PolicyRollout, PolicyRollouts, PolicyStatus,
    RolloutRequest, RolloutStep, StartedRollout,
};
use sentinel_core::policy_data::DataPath;

use crate::client::json;
use crate::{Client, Error, Pages, Query};

const ROLLOUT: [&str; 3] = ["v1", "policy", "rollout"];

/// What must hold for policy data to be changed, and why it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Precondition {
    /// The `etag` that the value must still have; `None` changes whatever is there.
    pub if_match: Option<String>,
    /// Kept in the history.
    pub reason: Option<String>,
}

impl Client {
    /// The policy in force.
    ///
    /// # Errors
    /// When the server does not answer, refuses, or its answer is not a status.
    pub async fn policy_status(&self) -> Result<PolicyStatus, Error> {
        self.get(&["v1", "policy"], &[]).await
    }

    /// Changes of what policy is in force, newest first.
    #[must_use]
    pub fn policy_changes(&self) -> Pages<'_, PolicyChange> {
        self.pages(&["v1", "policy", "changes"], &[])
    }

    /// The data that was put at a path, or all that was put anywhere.
    ///
    /// # Errors
    /// When the server does not answer, refuses (404 when nothing was put there), or its answer is
    /// not data.
    pub async fn policy_data(&self, path: Option<&DataPath>) -> Result<PolicyData, Error> {
        self.get(&address(path), &[]).await
    }

    /// Puts a value, JSON, at a path. It goes as it is: what is wrong with it is for the server's
    /// strict reader to find.
    ///
    /// # Errors
    /// When the server does not answer, refuses (412 when the precondition does not hold), or its
    /// answer is not data.
    pub async fn put_policy_data(
        &self,
        path: &DataPath,
        value: Vec<u8>,
        precondition: &Precondition,
    ) -> Result<PolicyData, Error> {
        let request = self.data_change(Method::PUT, path, precondition)?;
        let request = request.header(CONTENT_TYPE, "application/json").body(value);
        json(&self.body(self.send(request).await?).await?)
    }

    /// Removes what was put at a path and below it.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn delete_policy_data(
        &self,
        path: &DataPath,
        precondition: &Precondition,
    ) -> Result<(), Error> {
        let request = self.data_change(Method::DELETE, path, precondition)?;
        self.send(request).await.map(drop)
    }

    /// Changes of policy data, newest first; at a path, or anywhere.
    #[must_use]
    pub fn policy_data_history(&self, path: Option<&DataPath>) -> Pages<'_, PolicyDataChange> {
        let query = [("path", path.map(ToString::to_string))];
        self.pages(&["v1", "policy", "data-history"], &query)
    }

    /// The candidate that is compared, and the one that decides in place of the source's policy.
    ///
    /// # Errors
    /// When the server does not answer, refuses, or its answer is not the rollouts.
    pub async fn rollouts(&self) -> Result<PolicyRollouts, Error> {
        self.get(&ROLLOUT, &[]).await
    }

    /// Has a candidate compared with what decides, without influence on any decision.
    ///
    /// # Errors
    /// When the server does not answer, refuses (422 when vetting refuses it), or its answer is not
    /// a candidate.
    pub async fn start_rollout(&self, request: &RolloutRequest) -> Result<StartedRollout, Error> {
        self.post(&ROLLOUT, request).await
    }

    /// Lets the candidate decide.
    ///
    /// # Errors
    /// When the server does not answer, refuses, or its answer is not a candidate.
    pub async fn promote_rollout(&self, step: &RolloutStep) -> Result<PolicyRollout, Error> {
        self.post(&["v1", "policy", "rollout", "promote"], step).await
    }

    /// Gives the candidate up; when none is compared, takes the promoted one back.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn drop_rollout(&self, step: &RolloutStep) -> Result<(), Error> {
        self.posted(&["v1", "policy", "rollout", "drop"], step).await.map(drop)
    }

    fn data_change(
        &self,
        method: Method,
        path: &DataPath,
        precondition: &Precondition,
    ) -> Result<RequestBuilder, Error> {
        let query: &Query<'_> = &[("reason", precondition.reason.clone())];
        let request = self.request(method, &address(Some(path)), query)?;
        Ok(match &precondition.if_match {
            Some(tag) => request.header(IF_MATCH, format!("\"{}\"", tag.trim_matches('"'))),
            None => request,
        })
    }
}

fn address(path: Option<&DataPath>) -> Vec<&str> {
    let parts = path.into_iter().flat_map(|path| path.parts()).map(String::as_str);
    ["v1", "policy", "data"].into_iter().chain(parts).collect()
}
