//! `[redis]`: what tells the nodes of a cluster when to look.

use std::path::{Path, PathBuf};

use anyhow::Context;
use secrecy::SecretString;
use serde_json::Value;
use tollgate_control::redis::{ClientIdentity, Login, RedisOptions, RedisTls, RedisUrl, Servers};
use tollgate_model::Problems;
use tollgate_model::decode::{Decode, Fields, Place, PositiveTime};
use tollgate_model::problem::Complaint;

/// How a Redis is reached. Its `Debug` shows no password.
#[derive(Debug)]
pub struct RedisConfig {
    pub options: RedisOptions,
}

/// As written: paths may be relative.
pub(super) struct RedisTable {
    options: RedisOptions,
}

impl RedisTable {
    /// Whether the files of TLS can be used is seen here; they are read anew for every connection. `folder` is where
    /// relative paths start.
    pub(super) fn complete(self, folder: &Path) -> anyhow::Result<RedisConfig> {
        let RedisTable { mut options } = self;
        if let Some(tls) = &mut options.tls {
            let identity = tls.identity.iter_mut();
            let pair = identity.flat_map(|identity| [&mut identity.certificate_file, &mut identity.key_file]);
            for file in tls.ca_file.iter_mut().chain(pair) {
                *file = folder.join(&*file);
            }
            tls.check().context("the files of TLS in [redis] can't be used")?;
        }
        Ok(RedisConfig { options })
    }
}

impl Decode for RedisTable {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<RedisTable> {
        let mut fields = Fields::open(value, place, problems);
        let text: Option<String> = fields.required("url");
        let url = text.and_then(|text| match RedisUrl::parse(&text) {
            Ok(url) => Some(url),
            Err(fault) => {
                fields.refuse("url", Complaint::new(fault.message, fault.hint));
                None
            }
        });
        let login = data_login(&mut fields, url.as_ref());
        let sentinel_login = login_of(&mut fields, "sentinel_username", "sentinel_password");
        let has_sentinels = |url: &RedisUrl| matches!(url.servers, Servers::Sentinel { .. });
        if url.as_ref().is_some_and(|url| !has_sentinels(url)) {
            let complaint = || Complaint::new("`url` names no sentinels", "leave it out, or write redis+sentinel://…");
            refuse_all(&mut fields, &["sentinel_username", "sentinel_password"], complaint);
        }
        let tls = tls(&mut fields);
        if url.as_ref().is_some_and(|url| !url.tls) {
            let complaint = || Complaint::new("`url` is without TLS", "write rediss:// in it");
            refuse_all(&mut fields, &["ca_file", "client_certificate_file", "client_key_file"], complaint);
        }
        let connect_timeout = fields.maybe::<PositiveTime>("connect_timeout");
        let timeout = fields.maybe::<PositiveTime>("timeout");
        fields.finish()?;
        let mut options = RedisOptions::of(url?);
        options.tls = options.tls.map(|_| tls);
        options.login = login.or(options.login);
        options.sentinel_login = sentinel_login;
        options.connect_timeout = connect_timeout.map_or(options.connect_timeout, |time| time.0);
        options.timeout = timeout.map_or(options.timeout, |time| time.0);
        Some(RedisTable { options })
    }
}

/// What stands beside the URL, if it does not stand in it.
fn data_login(fields: &mut Fields<'_, '_>, url: Option<&RedisUrl>) -> Option<Login> {
    let keys = ["username", "password"];
    if url.is_some_and(|url| url.login.is_some()) {
        refuse_all(fields, &keys, || Complaint::new("`url` has user and password already", "leave one of the two out"));
        // Both are keys that are known.
        let _ = keys.map(|key| fields.maybe::<String>(key));
        return None;
    }
    login_of(fields, "username", "password")
}

fn login_of(fields: &mut Fields<'_, '_>, username_key: &'static str, password_key: &'static str) -> Option<Login> {
    let username: Option<String> = fields.maybe(username_key);
    let password: Option<String> = fields.maybe(password_key);
    if username.is_some() && !fields.has(password_key) {
        let hint = format!("write `{password_key}` as well; Redis takes any for a user with `nopass`");
        fields.refuse(username_key, Complaint::new("there is a user and no password", hint));
    }
    Some(Login { username, password: SecretString::from(password?) })
}

fn tls(fields: &mut Fields<'_, '_>) -> RedisTls {
    let ca_file = fields.maybe("ca_file");
    let certificate_file: Option<PathBuf> = fields.maybe("client_certificate_file");
    let key_file: Option<PathBuf> = fields.maybe("client_key_file");
    for (key, other) in [("client_certificate_file", "client_key_file"), ("client_key_file", "client_certificate_file")]
    {
        if fields.has(key) && !fields.has(other) {
            fields.refuse(
                key,
                Complaint::new("a certificate and its key go together", format!("write `{other}` as well")),
            );
        }
    }
    let identity = certificate_file.zip(key_file);
    let identity = identity.map(|(certificate_file, key_file)| ClientIdentity { certificate_file, key_file });
    RedisTls { ca_file, identity }
}

fn refuse_all(fields: &mut Fields<'_, '_>, keys: &[&'static str], complaint: impl Fn() -> Complaint) {
    for key in keys {
        if fields.has(key) {
            fields.refuse_key(key, complaint());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use secrecy::ExposeSecret;
    use tollgate_model::decode;
    use tollgate_store::Document;

    use super::*;

    fn read(text: &str) -> Result<RedisTable, String> {
        let plain = |report: tollgate_store::ConfigReport| report.render_plain();
        let document = Document::parse(Path::new("tollgate.toml"), text.to_owned()).map_err(plain)?;
        document.read(decode::whole::<RedisTable>).map_err(plain)
    }

    #[test]
    fn a_url_is_enough_and_keys_beside_it_count() {
        let options = read("url = \"redis://redis.test\"").unwrap().options;
        assert_eq!((options.connect_timeout, options.timeout), (Duration::from_secs(1), Duration::from_secs(2)));
        assert!(options.login.is_none() && options.tls.is_none());

        let text = "url = \"rediss+sentinel://s1,s2/main/2\"\nusername = \"bus\"\npassword = \"p@/#%\"\n\
                    sentinel_password = \"watch\"\nca_file = \"ca.pem\"\nclient_certificate_file = \"c.pem\"\n\
                    client_key_file = \"c.key\"\nconnect_timeout = \"250ms\"\ntimeout = \"1s\"\n";
        let options = read(text).unwrap().options;
        let login = options.login.as_ref().unwrap();
        assert_eq!((login.username.as_deref(), login.password.expose_secret()), (Some("bus"), "p@/#%"));
        assert_eq!(options.sentinel_login.as_ref().unwrap().username, None);
        assert_eq!(options.database, 2);
        assert!(options.tls.as_ref().unwrap().identity.is_some());
        let shown = format!("{:?}", RedisConfig { options });
        assert!(!shown.contains("p@/#%") && !shown.contains("watch"), "{shown}");
    }

    #[test]
    fn what_does_not_fit_is_told_at_its_key_without_secrets() {
        for (text, complaints) in [
            ("", &["`url` is missing"][..]),
            ("url = \"http://h\"", &["not the URL of a Redis", "redis+sentinel://"]),
            ("url = \"redis://u:s3cret@h\"\npassword = \"s3cret\"", &["user and password already"]),
            ("url = \"redis://h\"\nusername = \"u\"", &["no password", "nopass"]),
            ("url = \"redis://h\"\nca_file = \"ca.pem\"", &["without TLS", "rediss://"]),
            ("url = \"rediss://h\"\nclient_key_file = \"k\"", &["go together", "client_certificate_file"]),
            ("url = \"redis+cluster://h\"\nsentinel_password = \"s3cret\"", &["names no sentinels"]),
            ("url = \"redis://h\"\ntimeout = \"0s\"\npasword = \"s3cret\"", &["timeout", "did you mean `password`?"]),
        ] {
            let report = read(text).err().unwrap_or_else(|| panic!("{text} was taken"));
            let told = report.split_whitespace().collect::<Vec<_>>().join(" ");
            for complaint in complaints {
                assert!(told.contains(complaint), "{complaint} in\n{report}");
            }
            assert!(!report.contains("s3") && !report.contains("cret"), "{report}");
        }
    }

    #[test]
    fn files_that_cant_be_used_stop_the_start() {
        let folder = Path::new("/nowhere");
        let failure = read("url = \"rediss://h\"\nca_file = \"ca.pem\"").unwrap().complete(folder).unwrap_err();
        assert!(format!("{failure:#}").contains("/nowhere/ca.pem"), "{failure:#}");
    }
}
