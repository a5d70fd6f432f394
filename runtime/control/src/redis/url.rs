//! URLs of a Redis.

use secrecy::SecretString;
use tollgate_model::decode::parse_authority;

use super::{Address, Login, Servers};

/// What a URL says of a Redis:
///
/// - `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]`
/// - `redis+unix://[USER:PASSWORD@]/PATH[?db=DATABASE]`
/// - `redis+sentinel://[USER:PASSWORD@]HOST[:PORT],…/MASTER[/DATABASE]`, where user and password are the master's
/// - `redis+cluster://[USER:PASSWORD@]HOST[:PORT],…`
///
/// `rediss` in place of `redis` is TLS. `%XX` in user, password and path stand for bytes of UTF-8. A password alone is
/// `:PASSWORD@`.
#[derive(Clone, Debug)]
pub struct RedisUrl {
    pub servers: Servers,
    pub tls: bool,
    pub login: Option<Login>,
    pub database: u32,
}

/// Why a text is no URL of a Redis. Quotes nothing of it: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UrlFault {
    pub message: &'static str,
    pub hint: &'static str,
}

impl RedisUrl {
    /// # Errors
    /// Says what is wrong, and how it is written.
    pub fn parse(text: &str) -> Result<RedisUrl, UrlFault> {
        let (scheme, rest) = text.split_once("://").ok_or(NO_SCHEME)?;
        let (secure, form) = match scheme.strip_prefix("rediss") {
            Some(form) => (true, form),
            None => (false, scheme.strip_prefix("redis").ok_or(NO_SCHEME)?),
        };
        if rest.contains('#') {
            return Err(UrlFault { message: "a `#` has no meaning in the URL of a Redis", hint: ESCAPE });
        }
        let (authority, path) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (self::login(login)?, hosts),
            // A slash within the password: what is before it is no host.
            None if path.contains('@') && authority.contains(':') => return Err(SLASH),
            None => (None, authority),
        };
        let (servers, database) = match form {
            "" => (Servers::Standalone(address(hosts, REDIS_PORT)?), database(path.strip_prefix('/').unwrap_or(path))?),
            "+unix" if secure => return Err(UrlFault { message: "a Unix socket needs no TLS", hint: SOCKET }),
            "+unix" => socket(hosts, path)?,
            "+sentinel" => sentinel(hosts, path)?,
            "+cluster" => cluster(hosts, path)?,
            _ => return Err(NO_SCHEME),
        };
        Ok(RedisUrl { servers, tls: secure, login, database })
    }
}

fn login(text: &str) -> Result<Option<Login>, UrlFault> {
    let (username, password) = text.split_once(':').ok_or(UrlFault {
        message: "there is a user and no password",
        hint: "write USER:PASSWORD@, or :PASSWORD@ for the user `default`",
    })?;
    let username = Some(decoded(username)?).filter(|username| !username.is_empty());
    Ok(Some(Login { username, password: SecretString::from(decoded(password)?) }))
}

fn socket(hosts: &str, path: &str) -> Result<(Servers, u32), UrlFault> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    if !hosts.is_empty() || path.len() < 2 {
        return Err(UrlFault { message: "the path of the socket is missing", hint: SOCKET });
    }
    let database = match query {
        "" => 0,
        query => database(query.strip_prefix("db=").ok_or(UrlFault { message: "unknown parameter", hint: SOCKET })?)?,
    };
    Ok((Servers::Standalone(Address::Unix(decoded(path)?.into())), database))
}

fn sentinel(hosts: &str, path: &str) -> Result<(Servers, u32), UrlFault> {
    let path = path.strip_prefix('/').unwrap_or_default();
    let (master, index) = path.split_once('/').unwrap_or((path, ""));
    let master = decoded(master)?;
    if master.is_empty() || master.contains('?') {
        return Err(UrlFault { message: "the name of the master is missing", hint: SENTINEL });
    }
    Ok((Servers::Sentinel { sentinels: addresses(hosts, SENTINEL_PORT)?, master }, database(index)?))
}

fn cluster(hosts: &str, path: &str) -> Result<(Servers, u32), UrlFault> {
    if !matches!(path, "" | "/" | "/0") {
        return Err(UrlFault { message: "a Redis Cluster has the database 0 alone", hint: CLUSTER });
    }
    Ok((Servers::Cluster(addresses(hosts, REDIS_PORT)?), 0))
}

fn addresses(text: &str, port: u16) -> Result<Vec<Address>, UrlFault> {
    text.split(',').map(|host| address(host, port)).collect()
}

fn address(text: &str, default_port: u16) -> Result<Address, UrlFault> {
    let authority = parse_authority(text)
        .map_err(|_| UrlFault { message: "what should be a host and a port is none", hint: ESCAPE })?;
    Ok(Address::Tcp { host: authority.host, port: authority.port.unwrap_or(default_port) })
}

/// Nothing is 0.
fn database(text: &str) -> Result<u32, UrlFault> {
    if text.is_empty() {
        return Ok(0);
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits);
    number.ok_or(UrlFault { message: "the database is not a number", hint: "as in redis://host/1" })
}

/// With `%XX` resolved.
fn decoded(text: &str) -> Result<String, UrlFault> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let code = part.get(..2).filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit())).ok_or(PERCENT)?;
        bytes.push(u8::from_str_radix(code, 16).map_err(|_| PERCENT)?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')).ok_or(PERCENT)
}

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;
const NO_SCHEME: UrlFault = UrlFault {
    message: "this is not the URL of a Redis",
    hint: "it begins with redis://, rediss://, redis+unix://, redis+sentinel:// or redis+cluster://; rediss+… for TLS",
};
const SLASH: UrlFault = UrlFault { message: "there is a `/` within user and password", hint: ESCAPE };
const PERCENT: UrlFault = UrlFault { message: "a `%` is not followed by a byte in hexadecimal", hint: ESCAPE };
const ESCAPE: &str =
    "as in redis://user:password@host:6379/0; a password with @ / ? # % goes under `password`, or as %XX";
const SOCKET: &str = "as in redis+unix:///run/redis/redis.sock?db=1";
const SENTINEL: &str = "as in redis+sentinel://s1:26379,s2:26379/mymaster/0";
const CLUSTER: &str = "as in redis+cluster://h1:6379,h2:6379";

#[cfg(test)]
mod tests;
