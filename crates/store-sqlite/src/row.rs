//! Rows and values of SQLite, as [`sentinel_store_rows`] reads and writes them.

use jiff::Timestamp;
use rusqlite::types::{FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Params, Row};
use sentinel_store_rows::{Columns, Dialect, Stored, Value, Writable};
use uuid::Uuid;

use crate::error::Result;

/// A row of a statement.
pub(crate) struct SqliteRow<'r, 's>(&'r Row<'s>);

impl SqliteRow<'_, '_> {
    fn value(&self, index: usize) -> FromSqlResult<ValueRef<'_>> {
        self.0.get_ref(index).map_err(|error| FromSqlError::Other(Box::new(error)))
    }
}

impl sentinel_store_rows::Row for SqliteRow<'_, '_> {
    type Error = FromSqlError;

    fn name(&self, index: usize) -> &str {
        self.0.as_ref().column_name(index).unwrap_or("?")
    }

    fn text(&self, index: usize) -> FromSqlResult<Option<&str>> {
        self.value(index)?.as_str_or_null()
    }

    fn bytes(&self, index: usize) -> FromSqlResult<Option<&[u8]>> {
        self.value(index)?.as_blob_or_null()
    }

    fn integer(&self, index: usize) -> FromSqlResult<Option<i64>> {
        self.value(index)?.as_i64_or_null()
    }

    fn boolean(&self, index: usize) -> FromSqlResult<Option<bool>> {
        Ok(self.integer(index)?.map(|number| number != 0))
    }

    fn uuid(&self, index: usize) -> FromSqlResult<Option<Uuid>> {
        let uuid = self.bytes(index)?.map(Uuid::from_slice).transpose();
        uuid.map_err(|error| FromSqlError::Other(Box::new(error)))
    }

    /// Microseconds since 1970.
    fn time(&self, index: usize) -> FromSqlResult<Option<Timestamp>> {
        let time = self.integer(index)?.map(Timestamp::from_microsecond).transpose();
        time.map_err(|error| FromSqlError::Other(Box::new(error)))
    }
}

/// A value as SQLite binds it.
struct Bound<'v>(&'v Value<'v>);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let integer = |number: Option<i64>| {
            number.map_or(ToSqlOutput::Borrowed(ValueRef::Null), ToSqlOutput::from)
        };
        Ok(match self.0 {
            Value::Text(Some(text)) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Value::Bytes(Some(bytes)) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Value::Uuid(Some(uuid)) => ToSqlOutput::Borrowed(ValueRef::Blob(uuid.as_bytes())),
            Value::Integer(number) => integer(*number),
            Value::Boolean(is_true) => ToSqlOutput::from(*is_true),
            Value::Time(time) => integer(time.map(Timestamp::as_microsecond)),
            Value::Text(None) | Value::Bytes(None) | Value::Uuid(None) => integer(None),
        })
    }
}

/// Values as the parameters of a statement.
pub(crate) fn bound(values: &[Value<'_>]) -> impl Params {
    rusqlite::params_from_iter(values.iter().map(Bound))
}

/// The columns of `T`, as a `SELECT` lists them.
pub(crate) fn select_list<T: Stored>() -> String {
    sentinel_store_rows::select::<T>(Dialect::Sqlite)
}

/// Inserts a value, with those of further columns.
pub(crate) fn insert<T: Writable>(
    connection: &Connection,
    value: &T,
    more: &[(&'static str, Value<'_>)],
) -> Result<()> {
    let names: Vec<_> = more.iter().map(|(name, _)| *name).collect();
    let sql = sentinel_store_rows::insert::<T>(Dialect::Sqlite, &names);
    let mut values = Vec::with_capacity(T::COLUMNS.len() + more.len());
    value.write(&mut values)?;
    values.extend(more.iter().map(|(_, value)| value.clone()));
    connection.prepare_cached(&sql)?.execute(bound(&values))?;
    Ok(())
}

/// Every row that `sql` selects, its columns those of `T`.
pub(crate) fn select<T: Stored>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
) -> Result<Vec<T>> {
    select_with(connection, sql, params, T::TABLE, |columns| Ok(T::read(columns)?))
}

/// Every row that `sql` selects, each read by `read`.
pub(crate) fn select_with<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    table: &'static str,
    read: impl Fn(&mut Columns<SqliteRow<'_, '_>>) -> Result<T>,
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
    read: impl Fn(&mut Columns<SqliteRow<'_, '_>>) -> Result<T>,
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
        found.push(read(&mut Columns::new(SqliteRow(row), table))?);
    }
    Ok((found, false))
}

/// The rows of `T` for which `condition` holds.
pub(crate) fn all<T: Stored>(
    connection: &Connection,
    condition: &str,
    params: impl Params,
) -> Result<Vec<T>> {
    let sql = format!("SELECT {} FROM {} WHERE {condition}", select_list::<T>(), T::TABLE);
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
