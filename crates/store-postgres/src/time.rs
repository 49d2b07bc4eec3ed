//! Times as PostgreSQL keeps them: microseconds since 2000-01-01T00:00:00Z.

use jiff::Timestamp;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{
    PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueFormat, PgValueRef, Postgres,
};
use sqlx::{Decode, Encode, Type};

/// 2000-01-01T00:00:00Z in microseconds since 1970.
const ORIGIN: i64 = 946_684_800_000_000;

/// A `timestamptz`. The server refuses to store what is before its calendar, 4714 BC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Timestamp);

impl Time {
    /// First instant of PostgreSQL's calendar, in microseconds since 1970.
    const FIRST: i64 = -210_866_803_200_000_000;

    /// `at`, or the first instant that the server knows: as the bound of a comparison, the same.
    pub(crate) fn bound(at: Timestamp) -> Self {
        let first = Timestamp::from_microsecond(Self::FIRST).unwrap_or(at);
        Self(at.max(first))
    }
}

impl Type<Postgres> for Time {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1184))
    }
}

impl PgHasArrayType for Time {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1185))
    }
}

impl Encode<'_, Postgres> for Time {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let micros = self.0.as_microsecond() - ORIGIN;
        buffer.extend_from_slice(&micros.to_be_bytes());
        Ok(IsNull::No)
    }
}

impl Decode<'_, Postgres> for Time {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        if value.format() == PgValueFormat::Text {
            return Err("a time was sent as text".into());
        }
        let micros = i64::from_be_bytes(value.as_bytes()?.try_into()?);
        let micros = micros.checked_add(ORIGIN).ok_or("the time is infinite")?;
        Ok(Self(Timestamp::from_microsecond(micros)?))
    }
}
