//! Which node is asked, and as whom: arguments first, then the environment, then the node's file.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use http::Uri;

use super::Failure;
use crate::cli::ApiArgs;
use crate::config::Reach;

#[derive(Debug)]
pub(super) struct Access {
    pub(super) base: Base,
    pub(super) token: Option<Token>,
}

/// Where paths of the API start.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) tls: bool,
    /// Without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// As in the URL.
    pub(super) authority: String,
    /// In front of every path; empty or without a slash at its end.
    pub(super) prefix: String,
    /// Who says so.
    pub(super) source: String,
}

pub(super) struct Token {
    pub(super) text: String,
    /// Where it was found.
    pub(super) source: String,
}

/// Hides the token.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a token from {}", self.source)
    }
}

impl Access {
    pub(super) fn find(args: &ApiArgs, environment: impl Fn(&str) -> Option<String>) -> anyhow::Result<Access> {
        let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
        // A file that is named counts for more than the environment, one that lies about for less.
        let file = match &args.config {
            Some(path) => Some((path.as_path(), Reach::read(path)?)),
            None => {
                let path = Path::new("tollgate.toml");
                if path.exists() { Some((path, Reach::read(path)?)) } else { None }
            }
        };
        let of_file = || match &file {
            Some((path, reach)) => Base::of_listener(path, reach).map(Some),
            None => Ok(None),
        };
        let base = if let Some(url) = &args.admin {
            Base::parse(url, "as --admin says")?
        } else if args.config.is_some()
            && let Some(base) = of_file()?
        {
            base
        } else if let Some(url) = variable("TOLLGATE_ADMIN") {
            Base::parse(&url, "as TOLLGATE_ADMIN says")?
        } else if let Some(base) = of_file()? {
            base
        } else {
            Base::parse("http://127.0.0.1:8001", "the default")?
        };
        let token = if let Some(stated) = &args.token {
            Some(stated_token(stated)?)
        } else if let Some(text) = variable("TOLLGATE_TOKEN") {
            Some(Token { text: text.trim().to_owned(), source: "TOLLGATE_TOKEN".to_owned() })
        } else {
            // What lies about on this machine is not for others, unless somebody says so.
            let is_meant = args.config.is_some() || base.is_loopback();
            file.filter(|_| is_meant).and_then(|(_, reach)| token_of(&reach.data.join("admin.token")))
        };
        Ok(Access { base, token })
    }
}

fn stated_token(stated: &str) -> Result<Token, Failure> {
    let Some(file) = stated.strip_prefix('@') else {
        return Ok(Token { text: stated.trim().to_owned(), source: "--token".to_owned() });
    };
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Token { text: text.trim().to_owned(), source: file.to_owned() }),
        Err(error) => Err(Failure::usage(format!("--token @{file}: the file can't be read: {error}"))),
    }
}

/// One that can't be read is somebody else's.
fn token_of(file: &Path) -> Option<Token> {
    let text = std::fs::read_to_string(file).ok()?;
    Some(Token { text: text.trim().to_owned(), source: file.display().to_string() })
}

impl Base {
    pub(super) fn parse(text: &str, source: &str) -> Result<Base, Failure> {
        let refused =
            |what: &str| Failure::usage(format!("`{text}` {what}; {source}")).with_hint("as in http://127.0.0.1:8001");
        let uri: Uri = text.trim().parse().map_err(|_| refused("is no URL"))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(refused("is neither an http nor an https URL")),
        };
        let authority = uri.authority().ok_or_else(|| refused("names no host"))?;
        if authority.as_str().contains('@') {
            // Not shown: a password may stand there.
            return Err(Failure::usage(format!("the URL has a user in it, which no admin API knows; {source}"))
                .with_hint("give a --token"));
        }
        if uri.query().is_some() {
            return Err(refused("has a query, in front of which no path can stand"));
        }
        Ok(Base {
            tls,
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            authority: authority.to_string(),
            prefix: uri.path().trim_end_matches('/').to_owned(),
            source: source.to_owned(),
        })
    }

    fn of_listener(path: &Path, reach: &Reach) -> Result<Base, Failure> {
        if reach.admin.port() == 0 {
            let message = format!("`admin.listen` in {} leaves the port to the system", path.display());
            return Err(Failure::usage(message).with_hint("name it by --admin URL; the node's log tells it"));
        }
        let mut address = reach.admin;
        if address.ip().is_unspecified() {
            address.set_ip(if address.is_ipv4() {
                IpAddr::from([127, 0, 0, 1])
            } else {
                std::net::Ipv6Addr::LOCALHOST.into()
            });
        }
        Base::parse(&format!("http://{address}"), &format!("as `admin.listen` in {} says", path.display()))
    }

    fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", if self.tls { "https" } else { "http" }, self.authority, self.prefix)
    }
}

#[cfg(test)]
mod tests;
