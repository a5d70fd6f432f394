use serde_json::json;

use super::*;

#[test]
fn secrets_are_hidden_wherever_they_stand() {
    for secret in [
        json!({ "api_key": "s3cret" }),
        json!({ "apiKeys": ["s3cret"] }),
        json!({ "clientSecret": { "value": "s3cret" } }),
        json!({ "deep": [{ "er": { "redis-password": "s3cret" } }] }),
        json!({ "signing_keys": { "first": "s3cret" } }),
        json!({ "headers": { "Authorization": "s3cret", "Set-Cookie": "s3cret" } }),
        json!({ "add": [{ "name": "X-Api-Key", "value": "s3cret" }] }),
        json!({ "add": ["x-api-key: s3cret"] }),
        json!({ "add": ["Bearer s3cret", " basic s3cret"] }),
        json!({ "url": "https://user:s3cret@example.com/" }),
        json!({ "url": "redis://s3cret@example.com" }),
        json!({ "url": "https://example.com/hook?x=1&access_token=s3cret" }),
        json!({ "database": "host=db password=s3cret" }),
        json!({ "text": "-----BEGIN PRIVATE KEY-----\ns3cret" }),
        json!({ "accesskeyid": "s3cret", "PASSPHRASE": "s3cret", "dsn": "s3cret", "jwt": "s3cret" }),
        json!({ "dbpwd": "s3cret", "userpass": "s3cret", "XAuth": "s3cret", "myprivatething": "s3cret" }),
        json!({ "pin": "s3cret", "tokens": "s3cret", "credentials": "s3cret" }),
    ] {
        let shown = Value::Object(hide_settings(secret.as_object().expect("a table"))).to_string();
        assert!(!shown.contains("s3cret"), "{shown}");
        assert!(shown.contains(HIDDEN), "{shown}");
    }
}

#[test]
fn ordinary_settings_stay_readable() {
    for ordinary in [
        json!({ "limits": [{ "limit": 10, "window": "1m", "by": "consumer" }], "status": 429 }),
        json!({ "path": "access.log", "rotate": true, "level": null }),
        json!({ "headers": ["apikey"], "key_names": ["apikey"], "hide_credentials": true }),
        json!({ "url": "https://example.com:8443/a@b?size=10", "needle": "north" }),
        json!({ "message": "at 10:30, try again", "tries": 3 }),
    ] {
        let table = ordinary.as_object().expect("a table");
        assert_eq!(&hide_settings(table), table);
    }
}

#[test]
fn what_is_replaced_is_what_is_hidden_and_can_be_put_back() {
    let body = json!({
        "paths": ["/a"], "headers": { "X-Api-Key": ["s3cret"], "X-Tenant": ["a"] },
        "chain": ["x", { "plugin": "y", "when": { "query": { "token": ["s3cret"] }, "not": { "headers": { "cookie": ["s3cret"] } } } }],
    });
    let mut sealed = body.clone();
    let mut places = Vec::new();
    let sealing = &mut |place: &str, value: Value| {
        places.push(place.to_owned());
        Ok::<_, ()>(json!({ "was": value }))
    };
    replace(Kind::Route, &mut sealed, sealing).expect("nothing fails");
    assert_eq!(places, ["/headers/X-Api-Key/0", "/chain/1/when/query/token/0", "/chain/1/when/not/headers/cookie/0"]);
    for place in &places {
        let inner = sealed.pointer(place).expect("its place")["was"].clone();
        *sealed.pointer_mut(place).expect("its place") = inner;
    }
    assert_eq!(sealed, body);
    let shown = hide(Kind::Route, &body);
    assert!(!shown.to_string().contains("s3cret") && shown.to_string().contains("/a"), "{shown}");
    let certificate = hide(Kind::Certificate, &json!({ "certificate": "-----BEGIN", "key": "s3cret" }));
    assert_eq!(certificate, json!({ "certificate": "-----BEGIN", "key": HIDDEN }));
}
