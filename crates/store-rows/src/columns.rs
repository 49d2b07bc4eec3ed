//! Columns, as the two databases spell them.

/// A database whose SQL a statement is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

/// A column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Read and written as it is.
    Plain(&'static str),
    /// JSON: a text in SQLite, and JSONB in PostgreSQL, where it is read and written as a text.
    Json(&'static str),
    /// Read through an expression.
    Computed { name: &'static str, sqlite: &'static str, postgres: &'static str },
}

impl Column {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain(name) | Self::Json(name) | Self::Computed { name, .. } => name,
        }
    }

    /// Appends what a `SELECT` says to read it.
    pub(crate) fn push_selected(self, sql: &mut String, dialect: Dialect) {
        match (self, dialect) {
            (Self::Json(name), Dialect::Postgres) => {
                sql.push_str(name);
                sql.push_str("::text");
            }
            (Self::Computed { sqlite, .. }, Dialect::Sqlite) => sql.push_str(sqlite),
            (Self::Computed { postgres, .. }, Dialect::Postgres) => sql.push_str(postgres),
            (Self::Plain(name) | Self::Json(name), _) => sql.push_str(name),
        }
    }

    /// Appends the parameter with this number, as it is assigned to the column.
    pub(crate) fn push_parameter(self, sql: &mut String, dialect: Dialect, number: usize) {
        sql.push(match dialect {
            Dialect::Sqlite => '?',
            Dialect::Postgres => '$',
        });
        sql.push_str(&number.to_string());
        if let (Self::Json(_), Dialect::Postgres) = (self, dialect) {
            sql.push_str("::text::jsonb");
        }
    }
}
