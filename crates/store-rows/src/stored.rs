//! Values of the domain that are rows of one table.

use sentinel_core::ports::StoreError;

use crate::columns::{Column, Dialect};
use crate::row::{Columns, Row};
use crate::value::Value;

/// A value that is read from the columns of one table.
pub trait Stored: Sized + Send {
    const TABLE: &'static str;
    /// The columns in the order in which [`Stored::read`] takes them.
    const COLUMNS: &'static [Column];
    /// Columns behind those, for a value that adds to another.
    const MORE_COLUMNS: &'static [Column] = &[];

    /// Reads the value.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for a column that does not parse: a row that was skipped could have
    /// been a kill.
    fn read<R: Row>(columns: &mut Columns<R>) -> Result<Self, StoreError>;
}

/// A value that is written to the columns that it is read from.
pub trait Writable: Stored {
    /// Appends one value for each of [`Stored::COLUMNS`], in their order.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when a part of it cannot be written as JSON.
    fn write<'v>(&'v self, values: &mut Vec<Value<'v>>) -> Result<(), StoreError>;
}

/// The columns of `T`, as a `SELECT` lists them.
#[must_use]
pub fn select<T: Stored>(dialect: Dialect) -> String {
    let mut sql = String::new();
    for (index, column) in T::COLUMNS.iter().chain(T::MORE_COLUMNS).enumerate() {
        if index > 0 {
            sql.push_str(", ");
        }
        column.push_selected(&mut sql, dialect);
    }
    sql
}

/// The statement that inserts a `T`, with values for `more` columns behind those of
/// [`Writable::write`].
#[must_use]
pub fn insert<T: Writable>(dialect: Dialect, more: &[&'static str]) -> String {
    let more = more.iter().copied().map(Column::Plain);
    let columns = || T::COLUMNS.iter().copied().chain(more.clone());
    let names: Vec<_> = columns().map(Column::name).collect();
    let mut sql = format!("INSERT INTO {} ({}) VALUES (", T::TABLE, names.join(", "));
    for (column, number) in columns().zip(1..) {
        if number > 1 {
            sql.push_str(", ");
        }
        column.push_parameter(&mut sql, dialect, number);
    }
    sql.push(')');
    sql
}

#[cfg(test)]
mod tests {
    use sentinel_core::audit::DecisionRecord;
    use sentinel_core::kill::Kill;
    use sentinel_core::ports::RecordedData;
    use sentinel_core::tenant::Tenant;
    use sentinel_core::tool::Tool;

    use super::*;

    #[test]
    fn columns_are_selected_in_order() {
        let plain = "id, slug, display_name, created_at, secret";
        assert_eq!(select::<Tenant>(Dialect::Sqlite), plain);
        assert_eq!(select::<Tenant>(Dialect::Postgres), plain);
        assert!(select::<RecordedData>(Dialect::Sqlite).ends_with("epoch, created_at, value"));
        assert!(select::<Tool>(Dialect::Sqlite).contains(", scopes, extra_metadata, "));
        assert!(
            select::<Tool>(Dialect::Postgres).contains(", scopes::text, extra_metadata::text, ")
        );
        assert!(select::<Kill>(Dialect::Sqlite).contains("ifnull(by_platform"));
        assert!(select::<Kill>(Dialect::Postgres).contains("coalesce(by_platform"));
    }

    #[test]
    fn a_statement_inserts_every_column() {
        let sql = insert::<Tool>(Dialect::Postgres, &["skeleton", "epoch"]);
        assert!(sql.starts_with("INSERT INTO tools (id, tenant_id, name, url, "), "{sql}");
        assert!(sql.contains("retired_at, upstream_id, pin_approved, "), "{sql}");
        assert!(sql.contains("$6::text::jsonb, $7::text::jsonb, $8, "), "{sql}");
        assert!(sql.ends_with("pin_since, skeleton, epoch) VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7::text::jsonb, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)"), "{sql}");
        let sql = insert::<Kill>(Dialect::Sqlite, &[]);
        assert!(sql.contains("actor, by_platform, created_at"), "{sql}");
        let sql = insert::<DecisionRecord>(Dialect::Sqlite, &[]);
        assert!(sql.contains("?24)"), "{sql}");
    }
}
