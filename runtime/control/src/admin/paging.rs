//! Lists in pages: `?size=` and `?after=`.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Serialize;

use crate::refusal::Refusal;

/// Which part of a list is asked for.
#[derive(Debug, PartialEq)]
pub(super) struct Paging {
    /// Path of the list.
    path: String,
    /// 1 to 1000, if stated.
    size: Option<usize>,
    /// Key of the last row seen. So a page neither repeats nor leaves out a row that stays, whatever
    /// comes and goes between two pages.
    after: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Page<T> {
    pub(super) data: Vec<T>,
    /// Path of the following page.
    pub(super) next: Option<String>,
}

const DEFAULT_SIZE: usize = 100;
const LARGEST_SIZE: usize = 1000;

impl Paging {
    fn parse(path: &str, query: &str) -> Result<Paging, Refusal> {
        let mut paging = Paging { path: path.to_owned(), size: None, after: None };
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "size" => paging.size = Some(parse_size(&value)?),
                "after" => paging.after = Some(value.into_owned()),
                // An ignored filter would look like one that everything passes.
                _ => {
                    return Err(Refusal::BadRequest(format!(
                        "unknown parameter `{key}`, lists take `size` and `after`"
                    )));
                }
            }
        }
        Ok(paging)
    }

    /// The page of `rows`, which come with their keys and ordered by them.
    pub(super) fn page<K: AsRef<str>, T>(&self, rows: impl IntoIterator<Item = (K, T)>) -> Page<T> {
        let seen = |key: &K| self.after.as_deref().is_some_and(|after| key.as_ref() <= after);
        let mut rows = rows.into_iter().skip_while(|(key, _)| seen(key)).peekable();
        let (keys, data): (Vec<K>, Vec<T>) = rows.by_ref().take(self.size.unwrap_or(DEFAULT_SIZE)).unzip();
        let last = keys.last().filter(|_| rows.peek().is_some());
        Page { data, next: last.map(|key| self.link(key.as_ref())) }
    }

    fn link(&self, after: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(size) = self.size {
            query.append_pair("size", &size.to_string());
        }
        format!("{}?{}", self.path, query.append_pair("after", after).finish())
    }
}

fn parse_size(text: &str) -> Result<usize, Refusal> {
    let size = text.parse().ok().filter(|size| (1..=LARGEST_SIZE).contains(size));
    size.ok_or_else(|| Refusal::BadRequest(format!("`size` is a whole number from 1 to {LARGEST_SIZE}")))
}

impl<S: Send + Sync> FromRequestParts<S> for Paging {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Paging, Refusal> {
        Paging::parse(parts.uri.path(), parts.uri.query().unwrap_or_default())
    }
}
