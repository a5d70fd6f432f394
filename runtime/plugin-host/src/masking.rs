//! Keeps secrets of the query out of what is written down.

use std::borrow::Cow;

/// Query parameters whose values nobody is to read later, by their decoded names.
#[derive(Default)]
pub(crate) struct Masked(Vec<Box<str>>);

impl Masked {
    /// From now on the parameter is masked, if the query has it.
    pub(crate) fn add(&mut self, name: &str, query: Option<&str>) {
        let has = |query: &str| query.split('&').any(|pair| is_named(pair, |key| key == name));
        if query.is_some_and(has) && !self.holds(name) {
            self.0.push(name.into());
        }
    }

    /// Path and query as they may be written down.
    pub(crate) fn apply<'t>(&self, target: &'t str) -> Cow<'t, str> {
        let Some((path, query)) = target.split_once('?').filter(|_| !self.0.is_empty()) else {
            return Cow::Borrowed(target);
        };
        let shown = query.split('&').map(|pair| match is_named(pair, |key| self.holds(key)) {
            true => Cow::Owned(format!("{}={MASK}", pair.split('=').next().unwrap_or_default())),
            false => Cow::Borrowed(pair),
        });
        Cow::Owned(format!("{path}?{}", shown.collect::<Vec<_>>().join("&")))
    }

    fn holds(&self, name: &str) -> bool {
        self.0.iter().any(|masked| **masked == *name)
    }
}

fn is_named(pair: &str, wanted: impl Fn(&str) -> bool) -> bool {
    form_urlencoded::parse(pair.as_bytes()).next().is_some_and(|(key, _)| wanted(&key))
}

const MASK: &str = "***";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_parameters_lose_their_values_whatever_way_they_are_written() {
        let mut masked = Masked::default();
        let target = "/a?b=1&ap%69key=secret&apikey=secret&apikey&b=%20";
        assert_eq!(masked.apply(target), target);
        masked.add("apikey", target.split_once('?').map(|(_, query)| query));
        assert_eq!(masked.apply(target), "/a?b=1&ap%69key=***&apikey=***&apikey=***&b=%20");
        assert_eq!(masked.apply("/a"), "/a");
    }

    #[test]
    fn what_the_query_does_not_have_is_not_kept() {
        let mut masked = Masked::default();
        masked.add("apikey", None);
        masked.add("apikey", Some("b=1"));
        assert!(masked.0.is_empty());
    }
}
