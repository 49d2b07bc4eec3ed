use sentinel_core::decision::ReasonCode;
use sentinel_core::policy::PolicyReason;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::{Object, ObjectBuilder, Type};

/// One reason, as policy words it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Reason<'a> {
    pub(crate) code: &'a str,
    pub(crate) msg: &'a str,
}

impl<'a> From<&'a PolicyReason> for Reason<'a> {
    fn from(reason: &'a PolicyReason) -> Self {
        Self { code: &reason.code, msg: &reason.msg }
    }
}

/// Schema of the closed set of reason codes.
pub(crate) fn reason_code() -> Object {
    let meanings: Vec<_> = ReasonCode::ALL
        .iter()
        .map(|(code, meaning)| format!("- `{}`:{meaning}", code.as_str()))
        .collect();
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(format!("Why, for programs; a closed set.\n\n{}", meanings.join("\n"))))
        .enum_values(Some(ReasonCode::ALL.iter().map(|(code, _)| code.as_str())))
        .build()
}
