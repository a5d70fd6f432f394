//! The kinds of entities.

use std::fmt;

/// What an entity is. Its word stands in the database, in paths of the admin API and in messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The global chain; there is one, named [`Kind::GLOBAL`].
    Chain,
    Module,
    Plugin,
    Certificate,
    Sni,
    Upstream,
    Service,
    Route,
    Consumer,
    /// An API key of a consumer, by its hash.
    Key,
    /// Of the admin API, by its hash.
    Token,
}

impl Kind {
    /// What is named comes before what names it.
    pub const ALL: [Kind; 11] = [
        Kind::Module,
        Kind::Plugin,
        Kind::Chain,
        Kind::Certificate,
        Kind::Sni,
        Kind::Upstream,
        Kind::Service,
        Kind::Route,
        Kind::Consumer,
        Kind::Key,
        Kind::Token,
    ];

    /// The name of the one [`Kind::Chain`].
    pub const GLOBAL: &'static str = "global";

    /// One of it, as in `there is no route …`; also how it is stored.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Chain => "chain",
            Kind::Module => "module",
            Kind::Plugin => "plugin",
            Kind::Certificate => "certificate",
            Kind::Sni => "sni",
            Kind::Upstream => "upstream",
            Kind::Service => "service",
            Kind::Route => "route",
            Kind::Consumer => "consumer",
            Kind::Key => "key",
            Kind::Token => "token",
        }
    }

    /// All of it: the list in `gateway.toml` and the path in the admin API.
    pub fn section(self) -> &'static str {
        match self {
            Kind::Chain => "chain",
            Kind::Module => "modules",
            Kind::Plugin => "plugins",
            Kind::Certificate => "certificates",
            Kind::Sni => "snis",
            Kind::Upstream => "upstreams",
            Kind::Service => "services",
            Kind::Route => "routes",
            Kind::Consumer => "consumers",
            Kind::Key => "keys",
            Kind::Token => "tokens",
        }
    }

    /// `None` for a kind that this version does not know.
    pub fn of_word(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_word() {
        assert!(Kind::ALL.into_iter().all(|kind| Kind::of_word(kind.word()) == Some(kind)));
        assert_eq!(Kind::of_word("gateway"), None);
    }
}
