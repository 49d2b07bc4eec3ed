//! From columns to values.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use sentinel_core::ports::StoreError;
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// A row of a database. Each method reads the column with that index, `None` when it is null, and
/// fails when the column has another type.
pub trait Row {
    type Error: Display;

    /// Name of a column, for messages.
    fn name(&self, index: usize) -> &str;

    fn text(&self, index: usize) -> Result<Option<&str>, Self::Error>;

    fn bytes(&self, index: usize) -> Result<Option<&[u8]>, Self::Error>;

    /// An integer of any width.
    fn integer(&self, index: usize) -> Result<Option<i64>, Self::Error>;

    fn boolean(&self, index: usize) -> Result<Option<bool>, Self::Error>;

    fn uuid(&self, index: usize) -> Result<Option<Uuid>, Self::Error>;

    fn time(&self, index: usize) -> Result<Option<Timestamp>, Self::Error>;
}

/// The columns of one row, taken from left to right. A column that is null or does not parse, and
/// should not, is [`StoreError::Corrupt`].
#[derive(Debug)]
pub struct Columns<R> {
    row: R,
    table: &'static str,
    next: usize,
}

const NULL: &str = "it is null";

impl<R: Row> Columns<R> {
    /// The columns of a row of `table`.
    pub const fn new(row: R, table: &'static str) -> Self {
        Self { row, table, next: 0 }
    }

    pub fn text(&mut self) -> Result<String, StoreError> {
        self.text_optional()?.ok_or_else(|| self.wrong(NULL))
    }

    pub fn text_optional(&mut self) -> Result<Option<String>, StoreError> {
        self.read(|row, index| Ok(row.text(index)?.map(str::to_owned)))
    }

    /// A text of which there are many copies.
    pub fn shared_text_optional(&mut self) -> Result<Option<Arc<str>>, StoreError> {
        self.read(|row, index| Ok(row.text(index)?.map(Arc::from)))
    }

    /// A text that `T` parses.
    pub fn parse<T: FromStr<Err: Display>>(&mut self) -> Result<T, StoreError> {
        self.parse_optional()?.ok_or_else(|| self.wrong(NULL))
    }

    pub fn parse_optional<T: FromStr<Err: Display>>(&mut self) -> Result<Option<T>, StoreError> {
        let index = self.step();
        let text = self.row.text(index).map_err(|error| self.corrupt(index, error))?;
        text.map(str::parse).transpose().map_err(|error| self.corrupt(index, error))
    }

    /// JSON, as a text.
    pub fn json<T: DeserializeOwned>(&mut self) -> Result<T, StoreError> {
        self.json_optional()?.ok_or_else(|| self.wrong(NULL))
    }

    pub fn json_optional<T: DeserializeOwned>(&mut self) -> Result<Option<T>, StoreError> {
        let index = self.step();
        let text = self.row.text(index).map_err(|error| self.corrupt(index, error))?;
        text.map(serde_json::from_str).transpose().map_err(|error| self.corrupt(index, error))
    }

    pub fn bytes(&mut self) -> Result<Vec<u8>, StoreError> {
        self.bytes_optional()?.ok_or_else(|| self.wrong(NULL))
    }

    pub fn bytes_optional(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|row, index| Ok(row.bytes(index)?.map(<[u8]>::to_vec)))
    }

    /// Bytes of a fixed length.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let index = self.step();
        let bytes = self.row.bytes(index).map_err(|error| self.corrupt(index, error))?;
        let bytes = bytes.ok_or_else(|| self.corrupt(index, NULL))?;
        bytes.try_into().map_err(|error| self.corrupt(index, error))
    }

    pub fn uuid(&mut self) -> Result<Uuid, StoreError> {
        self.uuid_optional()?.ok_or_else(|| self.wrong(NULL))
    }

    pub fn uuid_optional(&mut self) -> Result<Option<Uuid>, StoreError> {
        self.read(R::uuid)
    }

    pub fn time(&mut self) -> Result<Timestamp, StoreError> {
        self.time_optional()?.ok_or_else(|| self.wrong(NULL))
    }

    pub fn time_optional(&mut self) -> Result<Option<Timestamp>, StoreError> {
        self.read(R::time)
    }

    pub fn boolean(&mut self) -> Result<bool, StoreError> {
        self.read(R::boolean)?.ok_or_else(|| self.wrong(NULL))
    }

    /// A count, kept as the signed integer with the same bits.
    pub fn count(&mut self) -> Result<u64, StoreError> {
        self.count_optional()?.ok_or_else(|| self.wrong(NULL))
    }

    pub fn count_optional(&mut self) -> Result<Option<u64>, StoreError> {
        Ok(self.read(R::integer)?.map(i64::cast_unsigned))
    }

    /// A count of 32 bits, kept as the signed integer with the same value or the same bits.
    pub fn small(&mut self) -> Result<u32, StoreError> {
        self.small_optional()?.ok_or_else(|| self.wrong(NULL))
    }

    pub fn small_optional(&mut self) -> Result<Option<u32>, StoreError> {
        let Some(number) = self.read(R::integer)? else { return Ok(None) };
        let number =
            u32::try_from(number).or_else(|_| i32::try_from(number).map(i32::cast_unsigned));
        number.map(Some).map_err(|error| self.wrong(error))
    }

    /// The error that says what is wrong with the column taken last.
    pub fn wrong(&self, why: impl Display) -> StoreError {
        self.corrupt(self.next.saturating_sub(1), why)
    }

    fn read<T>(
        &mut self,
        column: impl FnOnce(&R, usize) -> Result<Option<T>, R::Error>,
    ) -> Result<Option<T>, StoreError> {
        let index = self.step();
        column(&self.row, index).map_err(|error| self.corrupt(index, error))
    }

    const fn step(&mut self) -> usize {
        let index = self.next;
        self.next += 1;
        index
    }

    fn corrupt(&self, index: usize, why: impl Display) -> StoreError {
        StoreError::Corrupt(format!("column `{}` of `{}`: {why}", self.row.name(index), self.table))
    }
}
