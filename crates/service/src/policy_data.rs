//! Policy data that people put beside what the policy's source brings.

use std::sync::Arc;

use sentinel_core::json;
use sentinel_core::json::patch::{PatchOperation, patched};
use sentinel_core::name::Reason;
use sentinel_core::page::{Page, Paged};
use sentinel_core::policy::DataPlace;
use sentinel_core::policy_change::PolicyChangeKind;
use sentinel_core::policy_data::{DataError, DataPath, PolicyData, tag_of};
use sentinel_core::ports::{DataChange, RecordedData};
use sentinel_core::principal::Principal;
use serde_json::Value;

use crate::ServiceError;
use crate::control::Control;
use crate::policy_log::PolicyLog;

/// How often a change is worked out again because another came first.
const ATTEMPTS: u32 = 20;

/// The data that was put, and its changes. It is the same for all tenants.
#[derive(Debug, Clone)]
pub struct PolicyDocuments {
    pub(crate) control: Arc<Control>,
    pub(crate) log: PolicyLog,
}

/// What is there at a path.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub value: Value,
    /// Of the value alone: another value elsewhere leaves it as it is.
    pub tag: String,
    /// Of all data.
    pub version: u64,
}

/// What the caller says is there now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    Anything,
    /// Any value, but one.
    Something,
    Nothing,
    /// A value with this [tag](Document::tag).
    Tag(String),
}

/// What is to be done at a path.
#[derive(Debug, Clone, PartialEq)]
pub enum DataEdit {
    Put(Value),
    Patch(Vec<PatchOperation>),
    Remove,
}

/// A change that someone asks for.
#[derive(Debug, Clone)]
pub struct DataRequest {
    pub path: DataPath,
    pub edit: DataEdit,
    pub expected: Expected,
    pub reason: Option<Reason>,
}

impl PolicyDocuments {
    /// What was put at `path`, or everything that was put; `None` when nothing was.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn get(&self, path: Option<&DataPath>) -> Result<Option<Document>, ServiceError> {
        let control = self.control.refresh().await?;
        let data = &control.policy().data;
        let value = match path {
            Some(path) => data.get(path),
            None => Some(Value::Object(data.document())),
        };
        Ok(value.map(|value| document(value, data.version())))
    }

    /// Changes data; returns what is there afterwards, `None` when it was removed. A value that is
    /// there already is left alone. No decision that commits after this returns rests on what was
    /// there before.
    ///
    /// # Errors
    /// When the place belongs to the policy, something else is there than expected, the change does
    /// not fit what is there, or the store is away.
    pub async fn change(
        &self,
        principal: &Principal,
        request: DataRequest,
    ) -> Result<Option<Document>, ServiceError> {
        let DataRequest { path, edit, expected, reason } = request;
        if principal.tenant().is_some() {
            return Err(ServiceError::tenant_forbidden());
        }
        self.refuse_owned(&path)?;
        for _ in 0..ATTEMPTS {
            let control = self.control.refresh().await?;
            let data = &control.policy().data;
            let before = data.get(&path);
            expect(&expected, before.as_ref(), &path)?;
            let value = edited(&edit, before.as_ref(), &path)?;
            if value.is_some() && value == before {
                return Ok(value.map(|value| document(value, data.version())));
            }
            let entries = match &value {
                Some(value) => data.put(&path, value.clone()),
                None => data.remove(&path),
            };
            let entries = entries.map_err(|error| refused(&error))?;
            let kind = match value {
                Some(_) => PolicyChangeKind::DataPut,
                None => PolicyChangeKind::DataRemoved,
            };
            let mut change = self.log.by(principal, kind, reason.clone());
            change.path = Some(path.clone());
            let base = data.version();
            let changing =
                DataChange { base, entries, change: change.clone(), value: value.clone() };
            let Some(epoch) = self.log.store.change_policy_data(changing).await? else { continue };
            self.control.refresh_after("change of policy data").await;
            change.data_version = Some(base + 1);
            change.epoch = Some(epoch);
            self.log.publish(change);
            return Ok(value.map(|value| document(value, base + 1)));
        }
        Err(ServiceError::GaveUp { attempts: ATTEMPTS })
    }

    /// Changes, newest first: all of them, or those that touched `path`.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn history(
        &self,
        path: Option<DataPath>,
        page: Page,
    ) -> Result<Paged<RecordedData>, ServiceError> {
        Ok(self.log.store.policy_data_history(path, page).await?)
    }

    fn refuse_owned(&self, path: &DataPath) -> Result<(), ServiceError> {
        match self.log.engine.data_place(path) {
            DataPlace::Free => Ok(()),
            DataPlace::Owned(owner) => {
                let detail = format!("`{path}` belongs to {owner}; change it there");
                Err(ServiceError::conflict("policy_data_owned", detail))
            }
            DataPlace::Elsewhere => {
                let detail = "the policy engine keeps its own data; change it there";
                Err(ServiceError::conflict("policy_data_elsewhere", detail))
            }
        }
    }
}

fn document(value: Value, version: u64) -> Document {
    Document { tag: tag_of(&value), value, version }
}

fn expect(expected: &Expected, found: Option<&Value>, path: &DataPath) -> Result<(), ServiceError> {
    let as_expected = match expected {
        Expected::Anything => true,
        Expected::Something => found.is_some(),
        Expected::Nothing => found.is_none(),
        Expected::Tag(tag) => found.is_some_and(|value| tag_of(value) == *tag),
    };
    if as_expected {
        return Ok(());
    }
    let detail = format!("what is at `{path}` is not what the change is based on; read it again");
    Err(ServiceError::Stale { code: "policy_data_changed", detail })
}

/// What is to be there; `None` for nothing.
fn edited(
    edit: &DataEdit,
    before: Option<&Value>,
    path: &DataPath,
) -> Result<Option<Value>, ServiceError> {
    match edit {
        DataEdit::Put(value) => Ok(Some(value.clone())),
        DataEdit::Remove => Ok(None),
        DataEdit::Patch(operations) => {
            let before = before.ok_or_else(|| refused(&DataError::Absent(path.clone())))?;
            let after = patched(before, operations)
                .map_err(|error| ServiceError::conflict("patch_failed", error.to_string()))?;
            // Each part was small enough; together they are put as one value.
            let json = json::canonical(&after);
            if json::parse(&json, &json::Limits::POLICY_DATA).is_err() {
                let detail = "the value would be larger or deeper than one that can be put";
                return Err(ServiceError::invalid("policy_data_full", detail));
            }
            Ok(Some(after))
        }
    }
}

fn refused(error: &DataError) -> ServiceError {
    match error {
        DataError::Absent(path) => {
            ServiceError::not_found("unknown_policy_data", format!("data at `{path}`"))
        }
        DataError::NotAnObject(_) => ServiceError::conflict("not_an_object", error.to_string()),
        DataError::Full => {
            let limits = (PolicyData::MAX_ENTRIES, PolicyData::MAX_BYTES);
            tracing::warn!(?limits, "policy data is full");
            ServiceError::conflict("policy_data_full", error.to_string())
        }
    }
}
