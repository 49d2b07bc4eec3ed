//! From rows to values of the domain. Whatever does not parse is [`StoreError::Corrupt`]: a row
//! that was skipped could have been a kill.

use std::fmt::Display;
use std::str::FromStr;

use jiff::Timestamp;
use sentinel_core::store::StoreError;
use serde::de::DeserializeOwned;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Column as _, Decode, Postgres, Row, Type};
use uuid::Uuid;

use crate::error::{Failure, Result};
use crate::time::Time;

/// A value that is read from the columns of one table.
pub(crate) trait Stored: Sized + Send {
    const TABLE: &'static str;
    /// The columns in the order that [`Stored::read`] takes them; JSONB as text.
    const COLUMNS: &'static str;

    fn read(columns: &mut Columns<'_>) -> Result<Self>;
}

/// The columns of one row, taken from left to right.
pub(crate) struct Columns<'r> {
    row: &'r PgRow,
    table: &'static str,
    next: usize,
}

impl<'r> Columns<'r> {
    pub(crate) fn new(row: &'r PgRow, table: &'static str) -> Self {
        Self { row, table, next: 0 }
    }

    /// The next column, as `PostgreSQL` has it.
    pub(crate) fn take<T: Decode<'r, Postgres> + Type<Postgres>>(&mut self) -> Result<T> {
        let index = self.next;
        self.next += 1;
        self.row.try_get(index).map_err(|error| self.corrupt(index, &error))
    }

    /// The next column, a text that `T` parses.
    pub(crate) fn parse<T: FromStr<Err: Display>>(&mut self) -> Result<T> {
        let text = self.take::<&str>()?;
        text.parse().map_err(|error| self.wrong(&error))
    }

    /// The next column, a text that `T` parses, or null.
    pub(crate) fn parse_optional<T: FromStr<Err: Display>>(&mut self) -> Result<Option<T>> {
        let text = self.take::<Option<&str>>()?;
        text.map(|text| text.parse().map_err(|error| self.wrong(&error))).transpose()
    }

    /// The next column, a JSON text, or null.
    pub(crate) fn json_optional<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        let text = self.take::<Option<&str>>()?;
        text.map(serde_json::from_str).transpose().map_err(|error| self.wrong(&error))
    }

    /// The next column, a JSON text.
    pub(crate) fn json<T: DeserializeOwned>(&mut self) -> Result<T> {
        self.json_optional()?.ok_or_else(|| self.wrong(&"it is null"))
    }

    /// The next column, bytes of a fixed length.
    pub(crate) fn bytes<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.take::<&[u8]>()?;
        bytes.try_into().map_err(|error| self.wrong(&error))
    }

    pub(crate) fn uuid(&mut self) -> Result<Uuid> {
        self.take()
    }

    pub(crate) fn uuid_optional(&mut self) -> Result<Option<Uuid>> {
        self.take()
    }

    pub(crate) fn time(&mut self) -> Result<Timestamp> {
        Ok(self.take::<Time>()?.0)
    }

    pub(crate) fn time_optional(&mut self) -> Result<Option<Timestamp>> {
        Ok(self.take::<Option<Time>>()?.map(|time| time.0))
    }

    /// The next column, a count kept as the signed integer with the same bits.
    pub(crate) fn count(&mut self) -> Result<u64> {
        self.take::<i64>().map(i64::cast_unsigned)
    }

    /// The next column, a small count.
    pub(crate) fn small(&mut self) -> Result<u32> {
        self.take::<i32>().map(i32::cast_unsigned)
    }

    pub(crate) fn small_optional(&mut self) -> Result<Option<u32>> {
        Ok(self.take::<Option<i32>>()?.map(i32::cast_unsigned))
    }

    pub(crate) fn count_optional(&mut self) -> Result<Option<u64>> {
        Ok(self.take::<Option<i64>>()?.map(i64::cast_unsigned))
    }

    /// The error that says what is wrong with the column taken last.
    pub(crate) fn wrong(&self, why: &dyn Display) -> Failure {
        self.corrupt(self.next.saturating_sub(1), why)
    }

    fn corrupt(&self, index: usize, why: &dyn Display) -> Failure {
        let column = self.row.columns().get(index).map_or("?", |column| column.name());
        let text = format!("column `{column}` of `{}`: {why}", self.table);
        Failure::Store(StoreError::Corrupt(text))
    }
}

/// Reads each row as a `T`.
pub(crate) fn read_all<T: Stored>(rows: &[PgRow]) -> Result<Vec<T>> {
    rows.iter().map(|row| T::read(&mut Columns::new(row, T::TABLE))).collect()
}

/// The rows of `T` for which `condition` holds, `bind` giving its parameters.
pub(crate) async fn all<T: Stored>(
    connection: &mut PgConnection,
    condition: &'static str,
    bind: impl FnOnce(Query) -> Query,
) -> Result<Vec<T>> {
    let sql = format!("SELECT {} FROM {} {condition}", T::COLUMNS, T::TABLE);
    let rows = bind(sqlx::query(AssertSqlSafe(sql))).fetch_all(connection).await?;
    read_all(&rows)
}

/// The first row of `T` for which `condition` holds.
pub(crate) async fn one<T: Stored>(
    connection: &mut PgConnection,
    condition: &'static str,
    bind: impl FnOnce(Query) -> Query,
) -> Result<Option<T>> {
    Ok(all(connection, condition, bind).await?.into_iter().next())
}

/// The row of `T` with this identifier.
pub(crate) async fn by_id<T: Stored>(connection: &mut PgConnection, id: Uuid) -> Result<Option<T>> {
    one(connection, "WHERE id = $1", |query| query.bind(id)).await
}

pub(crate) type Query = sqlx::query::Query<'static, Postgres, sqlx::postgres::PgArguments>;
