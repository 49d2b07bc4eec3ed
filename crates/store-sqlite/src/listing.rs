//! Listings: conditions that are bound, never pasted, and cursors.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use sentinel_core::page::{Page, Paged};
use sentinel_store_rows::{Columns, Stored, limit_of, sequence_of};
use uuid::Uuid;

use crate::error::Result;
use crate::row::{SqliteRow, select_list, select_within};

/// Where a listing takes its rows from.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    pub(crate) columns: &'a str,
    /// The table, or the tables joined.
    pub(crate) from: &'a str,
    /// Which of them errors name.
    pub(crate) table: &'static str,
    pub(crate) order: &'a str,
}

/// In which order of `sequence` a listing goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    NewestFirst,
    OldestFirst,
}

/// The conditions of a listing and the values bound to them.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    sql: String,
    values: Vec<Value>,
}

impl Conditions {
    /// A condition without a value.
    pub(crate) fn fixed(&mut self, condition: &'static str) {
        self.sql.push_str(if self.sql.is_empty() { "WHERE " } else { " AND " });
        self.sql.push_str(condition);
    }

    /// A condition such as `agent =`, whose right side is bound.
    pub(crate) fn bound(&mut self, condition: &'static str, value: impl Into<Value>) {
        self.fixed(condition);
        self.sql.push_str(" ?");
        self.values.push(value.into());
    }

    /// A condition on several columns, with as many places as values.
    pub(crate) fn after<const N: usize>(&mut self, condition: &'static str, values: [Value; N]) {
        self.fixed(condition);
        self.values.extend(values);
    }

    /// As [`Conditions::bound`], when there is a value.
    pub(crate) fn bound_optional(
        &mut self,
        condition: &'static str,
        value: Option<impl Into<Value>>,
    ) {
        if let Some(value) = value {
            self.bound(condition, value);
        }
    }

    /// One page of the rows of `T` in the order of `sequence`. The cursor is the sequence of the
    /// last row of the page before.
    pub(crate) fn page<T: Stored>(
        mut self,
        connection: &Connection,
        page: &Page,
        order: Order,
    ) -> Result<Paged<T>> {
        let (after, direction) = match order {
            Order::NewestFirst => ("sequence <", "DESC"),
            Order::OldestFirst => ("sequence >", "ASC"),
        };
        if let Some(cursor) = &page.cursor {
            self.bound(after, sequence_of(cursor)?);
        }
        let order = format!("sequence {direction}");
        let columns = format!("sequence, {}", select_list::<T>());
        let read = |row: &mut Columns<SqliteRow<'_, '_>>| Ok((row.count()?, T::read(row)?));
        let source = Source { columns: &columns, from: T::TABLE, table: T::TABLE, order: &order };
        let rows = self.rows(connection, page, &source, read)?;
        Ok(paged(rows, |(sequence, _)| sequence.to_string(), |(_, item)| item))
    }

    /// The statement, its last parameter the number of rows.
    pub(crate) fn select(&self, source: &Source<'_>) -> String {
        let Source { columns, from, order, .. } = source;
        format!("SELECT {columns} FROM {from} {} ORDER BY {order} LIMIT ?", self.sql)
    }

    /// The rows of one page, and whether there are more.
    pub(crate) fn rows<T>(
        mut self,
        connection: &Connection,
        page: &Page,
        source: &Source<'_>,
        read: impl Fn(&mut Columns<SqliteRow<'_, '_>>) -> Result<T>,
    ) -> Result<(Vec<T>, bool)> {
        let sql = self.select(source);
        let limit = limit_of(page);
        self.values.push(Value::Integer(i64::from(limit) + 1));
        let most = (usize::try_from(limit).unwrap_or(usize::MAX), Page::MAX_BYTES);
        select_within(connection, &sql, params_from_iter(self.values), source.table, most, read)
    }
}

/// Makes a page of rows, and of whether there are more.
pub(crate) fn paged<R, T>(
    (rows, more): (Vec<R>, bool),
    cursor: impl Fn(&R) -> String,
    item: impl Fn(R) -> T,
) -> Paged<T> {
    let next_cursor = rows.last().filter(|_| more).map(cursor);
    Paged { items: rows.into_iter().map(item).collect(), next_cursor }
}

/// An identifier as it is stored.
pub(crate) fn blob(id: Uuid) -> Value {
    Value::Blob(id.as_bytes().to_vec())
}
