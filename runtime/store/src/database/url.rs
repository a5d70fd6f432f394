use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

/// Which database.
#[derive(Clone)]
pub enum DatabaseUrl {
    /// `sqlite:PATH`
    Sqlite(PathBuf),
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…`
    Postgres { options: Box<PgConnectOptions>, shown: String },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    #[error("the path is missing behind sqlite:")]
    NoPath,
    #[error("{0} is not supported: a cluster shares a Postgres, one node can have an SQLite of its own")]
    NotSupported(&'static str),
    #[error("this is not a store that this version knows")]
    Unknown,
    #[error("this is no Postgres URL: {0}")]
    Postgres(String),
    #[error("`{0}` is no parameter of a Postgres URL; those for TLS are sslmode, sslrootcert, sslcert and sslkey")]
    Parameter(String),
}

impl DatabaseUrl {
    pub fn parse(text: &str) -> Result<DatabaseUrl, InvalidUrl> {
        let (scheme, rest) = text.split_once(':').ok_or(InvalidUrl::Unknown)?;
        match scheme {
            "sqlite" => match rest.strip_prefix("//").unwrap_or(rest) {
                "" => Err(InvalidUrl::NoPath),
                path => Ok(DatabaseUrl::Sqlite(path.into())),
            },
            "postgres" | "postgresql" => {
                // Passed over otherwise: the connection would not be as safe as was meant.
                if let Some(unknown) = parameters(rest).find(|name| !is_known(name)) {
                    return Err(InvalidUrl::Parameter(unknown.to_owned()));
                }
                let options = PgConnectOptions::from_str(text).map_err(|error| InvalidUrl::Postgres(plain(&error)))?;
                let options = options.application_name("tollgate");
                let at = match options.get_socket() {
                    Some(socket) => socket.display().to_string(),
                    None => format!("{}:{}", options.get_host(), options.get_port()),
                };
                let shown = format!("postgres://{at}/{}", options.get_database().unwrap_or_default());
                Ok(DatabaseUrl::Postgres { options: Box::new(options), shown })
            }
            "mysql" | "mariadb" => Err(InvalidUrl::NotSupported("MySQL")),
            "cassandra" => Err(InvalidUrl::NotSupported("Cassandra")),
            _ => Err(InvalidUrl::Unknown),
        }
    }

    /// Relative paths start at `folder`.
    pub fn within(self, folder: &Path) -> DatabaseUrl {
        match self {
            DatabaseUrl::Sqlite(path) => DatabaseUrl::Sqlite(folder.join(path)),
            other => other,
        }
    }

    /// Whether several nodes may have it.
    pub fn is_shared(&self) -> bool {
        matches!(self, DatabaseUrl::Postgres { .. })
    }

    /// For people: without user and password.
    pub fn shown(&self) -> String {
        match self {
            DatabaseUrl::Sqlite(path) => format!("sqlite:{}", path.display()),
            DatabaseUrl::Postgres { shown, .. } => shown.clone(),
        }
    }
}

/// The names behind the question mark.
fn parameters(url: &str) -> impl Iterator<Item = &str> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name))
}

fn is_known(parameter: &str) -> bool {
    const KNOWN: &[&str] = &[
        "sslmode",
        "ssl-mode",
        "sslrootcert",
        "ssl-root-cert",
        "ssl-ca",
        "sslcert",
        "ssl-cert",
        "sslkey",
        "ssl-key",
        "statement-cache-capacity",
        "host",
        "hostaddr",
        "port",
        "dbname",
        "user",
        "password",
        "application_name",
        "options",
    ];
    KNOWN.contains(&parameter) || (parameter.starts_with("options[") && parameter.ends_with(']'))
}

/// What is wrong, without the URL: it may have a password.
fn plain(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Configuration(source) => source.to_string(),
        _ => "it can't be read".to_owned(),
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_told_apart_and_never_show_a_password() {
        let url =
            DatabaseUrl::parse("postgres://user:s3cret@db.example.com:5433/tollgate?sslmode=disable").expect("one");
        assert_eq!((url.shown().as_str(), url.is_shared()), ("postgres://db.example.com:5433/tollgate", true));
        assert_eq!(format!("{url:?}"), url.shown());
        let url = DatabaseUrl::parse("sqlite:gateway.db").expect("one").within(Path::new("/data"));
        assert_eq!((url.shown().as_str(), url.is_shared()), ("sqlite:/data/gateway.db", false));
    }

    #[test]
    fn what_is_no_database_of_ours_is_said_so() {
        for (url, told) in [
            ("mysql://a/b", "MySQL is not supported"),
            ("cassandra://a", "Cassandra is not supported"),
            ("gateway.db", "not a store that this version knows"),
            ("sqlite:", "the path is missing"),
            ("postgres://user:s3cret@db:port/x", "no Postgres URL"),
            ("postgres://user:s3cret@db/x?sslmode=require&sslrotcert=ca.pem", "`sslrotcert` is no parameter"),
            ("postgres://user@db/x?pasword=s3cret", "`pasword` is no parameter"),
            ("postgres://user:s3cret@db/x?sslmode=verify", "no Postgres URL"),
        ] {
            let error = DatabaseUrl::parse(url).expect_err(url).to_string();
            assert!(error.contains(told) && !error.contains("s3cret"), "{error}");
        }
    }
}
