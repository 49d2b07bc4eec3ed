use std::marker::PhantomData;

use sentinel_api::List;
use serde::de::DeserializeOwned;

use crate::{Client, Error, Query};

/// Rows of a page at most; the server allows no more.
const MAX_PAGE: usize = 1000;

/// The pages of a listing, fetched one after the other.
#[derive(Debug)]
pub struct Pages<'a, T> {
    client: &'a Client,
    path: Vec<String>,
    query: Vec<(String, Option<String>)>,
    cursor: Option<String>,
    is_over: bool,
    items: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Pages<'_, T> {
    /// The next page, of at most `limit` rows; `None` after the last.
    ///
    /// # Errors
    /// When the server does not answer, refuses, or its answer is not a listing.
    pub async fn next(&mut self, limit: usize) -> Result<Option<Vec<T>>, Error> {
        if self.is_over {
            return Ok(None);
        }
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let mut query: Vec<_> =
            self.query.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        query.push(("limit", Some(limit.clamp(1, MAX_PAGE).to_string())));
        query.push(("cursor", self.cursor.take()));
        let page: List<T> = self.client.get(&path, &query).await?;
        self.cursor = page.next_cursor;
        self.is_over = self.cursor.is_none();
        Ok(Some(page.items))
    }

    /// All that is left of the listing, up to `limit` rows.
    ///
    /// # Errors
    /// As [`Pages::next`].
    pub async fn collect(mut self, limit: usize) -> Result<Vec<T>, Error> {
        let mut items = Vec::new();
        while items.len() < limit {
            let Some(page) = self.next(limit - items.len()).await? else { break };
            items.extend(page);
        }
        items.truncate(limit);
        Ok(items)
    }
}

impl Client {
    /// The pages of a listing that has no method of its own, or in another form than that gives.
    #[must_use]
    pub fn pages<T: DeserializeOwned>(&self, path: &[&str], query: &Query<'_>) -> Pages<'_, T> {
        Pages {
            client: self,
            path: path.iter().map(|&part| part.to_owned()).collect(),
            query: query.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            cursor: None,
            is_over: false,
            items: PhantomData,
        }
    }
}
