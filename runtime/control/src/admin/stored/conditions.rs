//! ETags, and what is done only if they are as expected (RFC 9110, 13).

use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName};
use tollgate_store::database::Row;

use crate::writer::WriteError;

/// A row changes its revision with every write, and one that was made anew has another id.
pub(super) fn etag(row: &Row) -> String {
    format!("\"{}-{}\"", row.revision, row.id)
}

/// `If-Match` and `If-None-Match` of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Conditions {
    matched: Option<Tags>,
    unmatched: Option<Tags>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Tags {
    Any,
    /// With their quotes; weak ones with their mark.
    Of(Vec<String>),
}

impl Conditions {
    pub(super) fn read(headers: &HeaderMap) -> Conditions {
        Conditions { matched: tags(headers, IF_MATCH), unmatched: tags(headers, IF_NONE_MATCH) }
    }

    /// For a write to what is stored as `row`, if it is there.
    pub(super) fn check(&self, row: Option<&Row>) -> Result<(), WriteError> {
        let etag = row.map(etag);
        if self.matched.as_ref().is_some_and(|tags| !tags.has(etag.as_deref())) {
            return Err(WriteError::Precondition("it is not as If-Match says: somebody changed, made or deleted it"));
        }
        if self.unmatched.as_ref().is_some_and(|tags| tags.has(etag.as_deref())) {
            return Err(WriteError::Precondition("it is there, and If-None-Match says it should not be"));
        }
        Ok(())
    }

    /// Whether whoever reads has `row` as it is.
    pub(super) fn is_fresh(&self, row: &Row) -> bool {
        self.unmatched.as_ref().is_some_and(|tags| tags.has_weakly(&etag(row)))
    }
}

impl Tags {
    fn has(&self, etag: Option<&str>) -> bool {
        match (self, etag) {
            (_, None) => false,
            (Tags::Any, Some(_)) => true,
            (Tags::Of(tags), Some(etag)) => tags.iter().any(|tag| tag == etag),
        }
    }

    fn has_weakly(&self, etag: &str) -> bool {
        match self {
            Tags::Any => true,
            Tags::Of(tags) => tags.iter().any(|tag| tag.strip_prefix("W/").unwrap_or(tag) == etag),
        }
    }
}

fn tags(headers: &HeaderMap, name: HeaderName) -> Option<Tags> {
    if !headers.contains_key(&name) {
        return None;
    }
    let stated = headers.get_all(&name).iter().filter_map(|value| value.to_str().ok());
    // No ETag of ours has a comma in it.
    let tags: Vec<String> = stated.flat_map(|value| value.split(',')).map(|tag| tag.trim().to_owned()).collect();
    Some(if tags.iter().any(|tag| tag == "*") { Tags::Any } else { Tags::Of(tags) })
}

#[cfg(test)]
mod tests {
    use tollgate_model::Kind;

    use super::*;

    fn row(revision: u64) -> Row {
        Row {
            kind: Kind::Route,
            name: "orders".to_owned(),
            id: "1d".to_owned(),
            owner: None,
            fingerprint: None,
            tags: Vec::new(),
            revision,
            created_at: 0,
            updated_at: 0,
            body: "{}".to_owned(),
        }
    }

    #[test]
    fn writes_go_by_what_whoever_writes_has_seen() {
        let holds = |name: HeaderName, value: &str, row: Option<&Row>| {
            let headers = HeaderMap::from_iter([(name, value.parse().expect("a value"))]);
            Conditions::read(&headers).check(row).is_ok()
        };
        let (old, new) = (row(4), row(5));
        assert!(holds(IF_MATCH, &etag(&new), Some(&new)));
        assert!(holds(IF_MATCH, &format!("\"x\", {}", etag(&new)), Some(&new)));
        assert!(holds(IF_MATCH, "*", Some(&new)));
        for (value, row) in
            [(etag(&old), Some(&new)), (format!("W/{}", etag(&new)), Some(&new)), ("*".to_owned(), None)]
        {
            assert!(!holds(IF_MATCH, &value, row), "{value}");
        }
        assert!(holds(IF_NONE_MATCH, "*", None) && !holds(IF_NONE_MATCH, "*", Some(&new)));
        assert!(holds(IF_NONE_MATCH, &etag(&old), Some(&new)));
        assert_eq!(Conditions::read(&HeaderMap::new()), Conditions::default());
    }

    #[test]
    fn reads_are_spared_what_is_known() {
        let fresh = |value: &str| {
            let headers = HeaderMap::from_iter([(IF_NONE_MATCH, value.parse().expect("a value"))]);
            Conditions::read(&headers).is_fresh(&row(5))
        };
        assert!(fresh(&etag(&row(5))) && fresh(&format!("W/{}", etag(&row(5)))) && fresh("*"));
        assert!(!fresh(&etag(&row(4))));
    }
}
