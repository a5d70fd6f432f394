use std::fs;

use super::*;

const QUICKSTART: &str = include_str!("../../../../examples/quickstart/gateway.toml");

fn store(text: &str) -> (tempfile::TempDir, FileStore) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("gateway.toml");
    fs::write(&path, text).expect("written");
    (folder, FileStore::open(path))
}

#[test]
fn the_quickstart_is_read() {
    let (_folder, store) = store(QUICKSTART);
    let loaded = store.read(None, |_| None).expect("valid");
    assert_eq!(loaded.set.routes.len(), 1);
    assert_eq!(loaded.set.plugins.len(), 3);
}

#[test]
fn a_second_read_shares_what_is_equal_and_tells_the_states_apart() {
    let (_folder, store) = store(QUICKSTART);
    let first = store.read(None, |_| None).expect("valid");
    fs::write(store.path(), QUICKSTART.replace("limit = 10", "limit = 11")).expect("written");
    let second = store.read(Some(&first.set), |_| None).expect("valid");
    assert_ne!(first.digest, second.digest);
    assert!(Arc::ptr_eq(&first.set.routes["orders"], &second.set.routes["orders"]));
    assert!(!Arc::ptr_eq(&first.set.plugins["rate-limit"], &second.set.plugins["rate-limit"]));
}

#[test]
fn a_key_can_come_from_the_environment() {
    let (_folder, store) = store(&QUICKSTART.replace("demo-key", "${env:DEMO_KEY}"));
    let loaded = store.read(None, |name| (name == "DEMO_KEY").then(|| "from-outside".to_owned())).expect("valid");
    assert_eq!(loaded.set.consumers["demo"].keys[0].key.expose(), "from-outside");
    let report = store.read(None, |_| None).expect_err("not set");
    assert!(report.summary().contains("the environment variable `DEMO_KEY` is not set"), "{}", report.summary());
}

#[test]
fn a_file_that_is_missing_empty_or_not_text_is_refused() {
    for text in ["", " \n\n"] {
        let (_folder, store) = store(text);
        let report = store.read(None, |_| None).expect_err("empty");
        assert!(report.render_plain().contains("the file is empty"), "{}", report.render_plain());
    }
    let (folder, store) = store("");
    fs::write(store.path(), b"a = 1\nb = \"\xff\"").expect("written");
    assert!(store.read(None, |_| None).expect_err("not UTF-8").summary().ends_with("line 2 is not UTF-8"));
    drop(folder);
    let report = store.read(None, |_| None).expect_err("gone");
    assert!(report.summary().contains("can't be read") && report.summary().contains("`store.url`"), "{report:?}");
    assert!(report.render_plain().contains("gateway.toml has a problem"), "{}", report.render_plain());
}
