use proptest::prelude::*;
use secrecy::ExposeSecret;

use super::*;

fn tcp(host: &str, port: u16) -> Address {
    Address::Tcp { host: host.to_owned(), port }
}

#[test]
fn every_form_is_read() {
    let url = RedisUrl::parse("rediss://bus:p%40ss@Redis.example.com/3").unwrap();
    assert_eq!(url.servers, Servers::Standalone(tcp("redis.example.com", 6379)));
    assert!(url.tls);
    assert_eq!(url.database, 3);
    let login = url.login.unwrap();
    assert_eq!(login.username.as_deref(), Some("bus"));
    assert_eq!(login.password.expose_secret(), "p@ss");

    let url = RedisUrl::parse("redis://:only@[::1]:7000").unwrap();
    assert_eq!(url.servers, Servers::Standalone(tcp("::1", 7000)));
    assert_eq!(url.login.unwrap().username, None);

    let url = RedisUrl::parse("redis+unix:///run/redis.sock?db=2").unwrap();
    assert_eq!(url.servers, Servers::Standalone(Address::Unix("/run/redis.sock".into())));
    assert_eq!((url.database, url.tls), (2, false));

    let url = RedisUrl::parse("rediss+sentinel://u:p@s1,s2:9/main/1").unwrap();
    let sentinels = vec![tcp("s1", 26379), tcp("s2", 9)];
    assert_eq!(url.servers, Servers::Sentinel { sentinels, master: "main".to_owned() });
    assert_eq!((url.database, url.tls), (1, true));

    let url = RedisUrl::parse("redis+cluster://h1:1,h2").unwrap();
    assert_eq!(url.servers, Servers::Cluster(vec![tcp("h1", 1), tcp("h2", 6379)]));
}

#[test]
fn what_is_none_is_refused_without_a_word_of_it() {
    for text in [
        "",
        "localhost",
        "http://h",
        "redis",
        "redis:/h",
        "redis://",
        "redis://h:0",
        "redis://h:99999",
        "redis://h/x",
        "redis://h/-1",
        "redis://h/+1",
        "redis://s3cret@h",
        "redis://u:s3%GGcret@h",
        "redis://u:s3/cret@h",
        "redis://u:s3#cret@h",
        "rediss+unix:///s",
        "redis+unix://",
        "redis+unix:///s?x=1",
        "redis+unix://h/s",
        "redis+sentinel://s1",
        "redis+sentinel://s1/",
        "redis+sentinel:///m",
        "redis+cluster://h/1",
        "redis+cluster://",
        "redis+cluster://h1,,h2",
        "redisx://h",
        "redis+bus://h",
        "redis://h?db=1",
    ] {
        let fault = RedisUrl::parse(text).err().unwrap_or_else(|| panic!("{text} was taken"));
        let told = format!("{fault} {}", fault.hint);
        assert!(!told.contains("s3") && !told.contains("cret"), "{told}");
    }
}

#[test]
fn debug_shows_no_password() {
    let shown = format!("{:?}", RedisUrl::parse("redis://user:s3cret@h").unwrap());
    assert!(shown.contains("user") && !shown.contains("s3cret"), "{shown}");
}

proptest! {
    #[test]
    fn no_text_panics(text in "(redis|rediss)(\\+unix|\\+sentinel|\\+cluster)?://[ -~é]{0,40}") {
        let _ = RedisUrl::parse(&text);
    }

    #[test]
    fn any_password_survives_its_escape(password in "\\PC{1,20}") {
        let escaped: String = password.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let url = RedisUrl::parse(&format!("redis://u:{escaped}@h")).unwrap();
        let login = url.login.unwrap();
        prop_assert_eq!(login.password.expose_secret(), password);
    }
}
