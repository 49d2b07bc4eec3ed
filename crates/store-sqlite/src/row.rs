//! From rows to values of the domain. Whatever does not parse is [`StoreError::Corrupt`]: a row
//! that was skipped could have been a kill.

use std::fmt::Display;
use std::str::FromStr;

use jiff::Timestamp;
use rusqlite::types::FromSql;
use rusqlite::{Connection, Params, Row};
use sentinel_core::store::StoreError;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::error::{Failure, Result};

/// A value that is read from the columns of one table.
pub(crate) trait Stored: Sized {
    const TABLE: &'static str;
    /// The columns in the order that [`Stored::read`] takes them.
    const COLUMNS: &'static str;

    fn read(columns: &mut Columns<'_, '_>) -> Result<Self>;
}

/// The columns of one row, taken from left to right.
pub(crate) struct Columns<'r, 's> {
    row: &'r Row<'s>,
    table: &'static str,
    next: usize,
}

impl Columns<'_, '_> {
    /// The next column, as `SQLite` has it.
    pub(crate) fn take<T: FromSql>(&mut self) -> Result<T> {
        let index = self.next;
        self.next += 1;
        self.row.get(index).map_err(|error| self.corrupt(index, &error))
    }

    /// The next column, a text that `T` parses.
    pub(crate) fn parse<T: FromStr<Err: Display>>(&mut self) -> Result<T> {
        let index = self.next;
        self.parse_optional()?.ok_or_else(|| self.corrupt(index, &"it is null"))
    }

    /// The next column, a text that `T` parses, or null.
    pub(crate) fn parse_optional<T: FromStr<Err: Display>>(&mut self) -> Result<Option<T>> {
        let index = self.next;
        self.next += 1;
        let value = self.row.get_ref(index)?;
        let text = value.as_str_or_null().map_err(|error| self.corrupt(index, &error))?;
        text.map(|text| text.parse().map_err(|error| self.corrupt(index, &error))).transpose()
    }

    /// The next column, a JSON text, or null.
    pub(crate) fn json_optional<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        let index = self.next;
        self.next += 1;
        let value = self.row.get_ref(index)?;
        let text = value.as_str_or_null().map_err(|error| self.corrupt(index, &error))?;
        let parsed = text.map(serde_json::from_str).transpose();
        parsed.map_err(|error| self.corrupt(index, &error))
    }

    /// The next column, a JSON text.
    pub(crate) fn json<T: DeserializeOwned>(&mut self) -> Result<T> {
        let index = self.next;
        self.json_optional()?.ok_or_else(|| self.corrupt(index, &"it is null"))
    }

    pub(crate) fn uuid(&mut self) -> Result<Uuid> {
        self.take::<[u8; 16]>().map(Uuid::from_bytes)
    }

    pub(crate) fn uuid_optional(&mut self) -> Result<Option<Uuid>> {
        Ok(self.take::<Option<[u8; 16]>>()?.map(Uuid::from_bytes))
    }

    pub(crate) fn time(&mut self) -> Result<Timestamp> {
        let index = self.next;
        self.time_optional()?.ok_or_else(|| self.corrupt(index, &"it is null"))
    }

    pub(crate) fn time_optional(&mut self) -> Result<Option<Timestamp>> {
        let index = self.next;
        let micros = self.take::<Option<i64>>()?;
        let time = micros.map(Timestamp::from_microsecond).transpose();
        time.map_err(|error| self.corrupt(index, &error))
    }

    /// The next column, a count kept as the signed integer with the same bits.
    pub(crate) fn count(&mut self) -> Result<u64> {
        self.take::<i64>().map(i64::cast_unsigned)
    }

    pub(crate) fn count_optional(&mut self) -> Result<Option<u64>> {
        Ok(self.take::<Option<i64>>()?.map(i64::cast_unsigned))
    }

    /// The error that says what is wrong with the column taken last.
    pub(crate) fn wrong(&self, why: &dyn Display) -> Failure {
        self.corrupt(self.next.saturating_sub(1), why)
    }

    fn corrupt(&self, index: usize, why: &dyn Display) -> Failure {
        let column = self.row.as_ref().column_name(index).unwrap_or("?");
        let text = format!("column `{column}` of `{}`: {why}", self.table);
        Failure::Store(StoreError::Corrupt(text))
    }
}

/// Every row that `sql` selects, its columns those of `T`.
pub(crate) fn select<T: Stored>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
) -> Result<Vec<T>> {
    select_with(connection, sql, params, T::TABLE, T::read)
}

/// Every row that `sql` selects, each read by `read`.
pub(crate) fn select_with<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    table: &'static str,
    read: impl Fn(&mut Columns<'_, '_>) -> Result<T>,
) -> Result<Vec<T>> {
    let (found, _) = select_within(connection, sql, params, table, (usize::MAX, usize::MAX), read)?;
    Ok(found)
}

/// The first rows that `sql` selects, up to so many and the one with which they have more than so
/// many bytes; and whether there are more.
pub(crate) fn select_within<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    table: &'static str,
    (most, most_bytes): (usize, usize),
    read: impl Fn(&mut Columns<'_, '_>) -> Result<T>,
) -> Result<(Vec<T>, bool)> {
    let mut statement = connection.prepare_cached(sql)?;
    let columns = statement.column_count();
    let mut rows = statement.query(params)?;
    let (mut found, mut bytes) = (Vec::new(), 0_usize);
    while let Some(row) = rows.next()? {
        if found.len() == most || bytes > most_bytes {
            return Ok((found, true));
        }
        for index in 0..columns {
            let size = row.get_ref(index)?.as_bytes_or_null();
            bytes = bytes.saturating_add(size.ok().flatten().map_or(8, <[u8]>::len));
        }
        found.push(read(&mut Columns { row, table, next: 0 })?);
    }
    Ok((found, false))
}

/// The rows of `T` for which `condition` holds.
pub(crate) fn all<T: Stored>(
    connection: &Connection,
    condition: &str,
    params: impl Params,
) -> Result<Vec<T>> {
    let sql = format!("SELECT {} FROM {} WHERE {condition}", T::COLUMNS, T::TABLE);
    select(connection, &sql, params)
}

/// The first row of `T` for which `condition` holds.
pub(crate) fn one<T: Stored>(
    connection: &Connection,
    condition: &str,
    params: impl Params,
) -> Result<Option<T>> {
    Ok(all(connection, &format!("{condition} LIMIT 1"), params)?.into_iter().next())
}
