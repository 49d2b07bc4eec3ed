//! Listings: conditions that are bound, never pasted, and cursors.

use futures::TryStreamExt as _;
use sentinel_core::page::{Page, Paged};
use sentinel_store_rows::{Stored, limit_of, sequence_of};
use sqlx::postgres::PgRow;
use sqlx::{Encode, PgPool, Postgres, QueryBuilder, Row as _, Type};

use crate::error::Result;
use crate::row::{columns, select_list};

/// In which order of `sequence` a listing goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    NewestFirst,
    OldestFirst,
}

/// A listing of the rows of one table: its conditions and the values bound to them.
pub(crate) struct Listing {
    builder: QueryBuilder<Postgres>,
    conditions: u32,
}

impl Listing {
    /// All rows of `T`, each with the cursor that continues after it, a text, in front.
    pub(crate) fn of<T: Stored>(cursor: &'static str) -> Self {
        let sql = format!("SELECT {cursor} AS cursor, {} FROM {}", select_list::<T>(), T::TABLE);
        Self { builder: QueryBuilder::new(sql), conditions: 0 }
    }

    /// A condition without a value.
    pub(crate) fn fixed(&mut self, condition: &'static str) -> &mut Self {
        self.builder.push(if self.conditions == 0 { " WHERE " } else { " AND " }).push(condition);
        self.conditions += 1;
        self
    }

    /// A condition such as `agent =`, whose right side is bound.
    pub(crate) fn bound<'t, V>(&mut self, condition: &'static str, value: V) -> &mut Self
    where
        V: Encode<'t, Postgres> + Type<Postgres>,
    {
        self.fixed(condition);
        self.builder.push(" ").push_bind(value);
        self
    }

    /// As [`Listing::bound`], when there is a value.
    pub(crate) fn bound_optional<'t, V>(
        &mut self,
        condition: &'static str,
        value: Option<V>,
    ) -> &mut Self
    where
        V: Encode<'t, Postgres> + Type<Postgres>,
    {
        match value {
            Some(value) => self.bound(condition, value),
            None => self,
        }
    }

    /// The SQL between two values, and another value.
    pub(crate) fn and<'t, V>(&mut self, sql: &'static str, value: V) -> &mut Self
    where
        V: Encode<'t, Postgres> + Type<Postgres>,
    {
        self.builder.push(sql).push_bind(value);
        self
    }

    pub(crate) fn push(&mut self, sql: &'static str) -> &mut Self {
        self.builder.push(sql);
        self
    }

    /// One page in the order of `sequence`, which is the cursor.
    pub(crate) async fn page<T: Stored>(
        mut self,
        pool: &PgPool,
        page: &Page,
        order: Order,
    ) -> Result<Paged<T>> {
        let (after, order) = match order {
            Order::NewestFirst => ("sequence <", "sequence DESC"),
            Order::OldestFirst => ("sequence >", "sequence"),
        };
        if let Some(cursor) = &page.cursor {
            self.bound(after, sequence_of(cursor)?);
        }
        let rows = self.rows(pool, page, order).await?;
        paged(&rows)
    }

    /// The rows of one page, and whether there are more. Planned again for each call: the best plan
    /// depends on the values.
    pub(crate) async fn rows(
        mut self,
        pool: &PgPool,
        page: &Page,
        order: &'static str,
    ) -> Result<Rows> {
        self.builder.push(" ORDER BY ").push(order).push(" LIMIT ");
        self.builder.push_bind(i64::from(limit_of(page)) + 1);
        let limit = usize::try_from(limit_of(page)).unwrap_or(usize::MAX);
        let mut found = self.builder.build().persistent(false).fetch(pool);
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while let Some(row) = found.try_next().await? {
            if rows.len() == limit || bytes > Page::MAX_BYTES {
                return Ok(Rows { rows, more: true });
            }
            bytes += size_of(&row);
            rows.push(row);
        }
        Ok(Rows { rows, more: false })
    }
}

/// The rows of a page.
#[derive(Debug)]
pub(crate) struct Rows {
    rows: Vec<PgRow>,
    more: bool,
}

/// Bytes of a row as the server sent it.
fn size_of(row: &PgRow) -> usize {
    let column = |index: usize| row.try_get_raw(index).ok()?.as_bytes().ok().map(<[u8]>::len);
    (0..row.len()).filter_map(column).sum()
}

/// Makes a page of `rows`.
pub(crate) fn paged<T: Stored>(Rows { rows, more }: &Rows) -> Result<Paged<T>> {
    let (mut items, mut last) = (Vec::with_capacity(rows.len()), None);
    for row in rows {
        let mut columns = columns(row, T::TABLE);
        last = Some(columns.text()?);
        items.push(T::read(&mut columns)?);
    }
    Ok(Paged { items, next_cursor: last.filter(|_| *more) })
}
