//! Rows and values of PostgreSQL, as [`sentinel_store_rows`] reads and writes them.

use jiff::Timestamp;
use sentinel_store_rows::{Columns, Dialect, Stored, Value, Writable};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgConnection, PgRow, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{AssertSqlSafe, Column as _, Decode, Postgres, Row as _, Type};
use uuid::Uuid;

use crate::error::Result;
use crate::time::Time;

/// A row of a statement.
pub(crate) struct StoredRow<'r>(&'r PgRow);

impl sentinel_store_rows::Row for StoredRow<'_> {
    type Error = sqlx::Error;

    fn name(&self, index: usize) -> &str {
        self.0.columns().get(index).map_or("?", |column| column.name())
    }

    fn text(&self, index: usize) -> sqlx::Result<Option<&str>> {
        self.0.try_get(index)
    }

    fn bytes(&self, index: usize) -> sqlx::Result<Option<&[u8]>> {
        self.0.try_get(index)
    }

    fn integer(&self, index: usize) -> sqlx::Result<Option<i64>> {
        Ok(self.0.try_get::<Option<Integer>, _>(index)?.map(|Integer(number)| number))
    }

    fn boolean(&self, index: usize) -> sqlx::Result<Option<bool>> {
        self.0.try_get(index)
    }

    fn uuid(&self, index: usize) -> sqlx::Result<Option<Uuid>> {
        self.0.try_get(index)
    }

    fn time(&self, index: usize) -> sqlx::Result<Option<Timestamp>> {
        Ok(self.0.try_get::<Option<Time>, _>(index)?.map(|Time(time)| time))
    }
}

/// A `smallint`, `integer` or `bigint`.
struct Integer(i64);

impl Type<Postgres> for Integer {
    fn type_info() -> PgTypeInfo {
        <i64 as Type<Postgres>>::type_info()
    }

    fn compatible(other: &PgTypeInfo) -> bool {
        <i64 as Type<Postgres>>::compatible(other)
            || <i32 as Type<Postgres>>::compatible(other)
            || <i16 as Type<Postgres>>::compatible(other)
    }
}

impl Decode<'_, Postgres> for Integer {
    fn decode(value: PgValueRef<'_>) -> std::result::Result<Self, BoxDynError> {
        if value.format() == PgValueFormat::Text {
            return Err("an integer was sent as text".into());
        }
        let bytes = value.as_bytes()?;
        Ok(Self(match bytes.len() {
            2 => i16::from_be_bytes(bytes.try_into()?).into(),
            4 => i32::from_be_bytes(bytes.try_into()?).into(),
            _ => i64::from_be_bytes(bytes.try_into()?),
        }))
    }
}

pub(crate) type Query = sqlx::query::Query<'static, Postgres, PgArguments>;

/// Binds a value as the next parameter.
fn bind(query: Query, value: &Value<'_>) -> Query {
    match value {
        Value::Text(text) => query.bind(text.as_deref()),
        Value::Bytes(bytes) => query.bind(*bytes),
        Value::Integer(number) => query.bind(*number),
        Value::Boolean(is_true) => query.bind(*is_true),
        Value::Uuid(uuid) => query.bind(*uuid),
        Value::Time(time) => query.bind(time.map(Time)),
    }
}

/// Inserts a value, with those of further columns.
pub(crate) async fn insert<T: Writable + Sync>(
    connection: &mut PgConnection,
    value: &T,
    more: &[(&'static str, Value<'_>)],
) -> Result<()> {
    inserting(value, more)?.execute(connection).await?;
    Ok(())
}

fn inserting<T: Writable>(value: &T, more: &[(&'static str, Value<'_>)]) -> Result<Query> {
    let names: Vec<_> = more.iter().map(|(name, _)| *name).collect();
    let sql = sentinel_store_rows::insert::<T>(Dialect::Postgres, &names);
    let mut values = Vec::with_capacity(T::COLUMNS.len());
    value.write(&mut values)?;
    let values = values.iter().chain(more.iter().map(|(_, value)| value));
    Ok(values.fold(sqlx::query(AssertSqlSafe(sql)), bind))
}

/// The columns of `T`, as a `SELECT` lists them.
pub(crate) fn select_list<T: Stored>() -> String {
    sentinel_store_rows::select::<T>(Dialect::Postgres)
}

/// The columns of a row, for what is not one value alone.
pub(crate) const fn columns<'r>(row: &'r PgRow, table: &'static str) -> Columns<StoredRow<'r>> {
    Columns::new(StoredRow(row), table)
}

/// Reads each row as a `T`.
pub(crate) fn read_all<T: Stored>(rows: &[PgRow]) -> Result<Vec<T>> {
    let read = |row| Ok(T::read(&mut columns(row, T::TABLE))?);
    rows.iter().map(read).collect()
}

/// The rows of `T` for which `condition` holds, `bind` giving its parameters.
pub(crate) async fn all<T: Stored>(
    connection: &mut PgConnection,
    condition: &'static str,
    bind: impl FnOnce(Query) -> Query,
) -> Result<Vec<T>> {
    let sql = format!("SELECT {} FROM {} {condition}", select_list::<T>(), T::TABLE);
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
