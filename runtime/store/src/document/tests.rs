use proptest::prelude::*;
use serde_json::json;
use tollgate_model::ConfigSet;

use super::*;

const FILE: &str = "gateway.toml";

fn parse(text: &str) -> Result<Document, ConfigReport> {
    Document::parse(Path::new(FILE), text.to_owned())
}

/// Each finding as `line: underlined text: message`.
fn findings(text: &str) -> Vec<String> {
    findings_with(text, |_| None)
}

fn findings_with(text: &str, env: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let report = report(text, env);
    let underlined = |finding: &Finding| finding.span.clone().map_or("", |span| &text[span]).to_owned();
    report.findings().iter().map(|found| format!("{}: {}: {}", found.line, underlined(found), found.message)).collect()
}

fn report(text: &str, env: impl Fn(&str) -> Option<String>) -> ConfigReport {
    let document = parse(text).map(|mut document| {
        document.expand(env);
        document
    });
    document.and_then(|document| document.read(|tree| ConfigSet::assemble(tree, None))).expect_err("a broken file")
}

const SERVICE: &str = "[[services]]\nname = \"orders\"\nurl = \"http://127.0.0.1:9000\"\n";

#[test]
fn each_problem_points_at_its_line() {
    let table: [(&str, &[&str]); 13] = [
        ("routs = []", &["1: routs: unknown key `routs`"]),
        ("routes = 5", &["1: 5: expected a list, found a number"]),
        ("[[routes]]\nname = \"a\"\npaths = [\"/a\"]\n", &["1: [[routes]]: `service` is missing"]),
        (
            "[[routes]]\nname = \"a\"\nservice = \"b\"\npaths = [\n  \"/a\",\n  \"b\",\n]\n",
            &["3: \"b\": there is no service `b`", "6: \"b\": a path starts with `/`"],
        ),
        (
            "[[services]]\nname = \"a\"\nurl = \"http://a\"\n\n[services.timeouts]\nconect = \"1s\"\nidle = \"0s\"\n",
            &["6: conect: unknown key `conect`", "7: \"0s\": must be longer than 0"],
        ),
        (
            "[[services]]\nname = \"a\"\nurl = \"http://a\"\ntimeouts.idle = 5\n",
            &["4: 5: expected a duration such as \"250ms\" or \"5s\", found a number"],
        ),
        (
            "[[upstreams]]\nname = \"a\"\ntargets = [\n  { address = \"a:1\", weight = 0 },\n]\n",
            &["3: targets: all weights are 0, so no target would be used"],
        ),
        (
            "[[upstreams]]\nname = \"a\"\ntargets = [{ address = \"a:1\" }, { adress = \"b:1\" }]\n",
            &["3: { adress = \"b:1\" }: `address` is missing", "3: adress: unknown key `adress`"],
        ),
        (
            "[[services]]\nname = \"a\"\nurl = \"http://a\"\n[[services]]\nname = \"a\"\nurl = \"http://b\"\n",
            &["5: \"a\": the name `a` is taken"],
        ),
        (
            "[[plugins]]\nname = \"a\"\nconfig = { at = 2020-01-01, ratio = nan, big = 99999999999999999999 }\n",
            &[
                "3: 2020-01-01: dates and times have no meaning here",
                "3: nan: not a finite number",
                "3: 99999999999999999999: the number is too large",
            ],
        ),
        (
            "[[services]]\nname = 2020-01-01\nurl = \"http://a\"\n",
            &["2: 2020-01-01: dates and times have no meaning here"],
        ),
        (
            "[[plugins]]\nname = \"a\"\nconfig = { token = \"${env:TOKEN}\", other = \"${env:}\" }\n",
            &[
                "3: \"${env:TOKEN}\": the environment variable `TOKEN` is not set",
                "3: \"${env:}\": not the name of an environment variable",
            ],
        ),
        (
            "routes = [] # caf\u{e9}\n\nchain = [\"\u{e9}\"]\n",
            &[
                "3: \"\u{e9}\": a name starts with a lower-case letter or a digit and has up to 64 of a-z, 0-9, `.`, `_`, `-`",
            ],
        ),
    ];
    for (text, expected) in table {
        assert_eq!(findings(text), expected, "in\n{text}");
    }
}

#[test]
fn of_errors_of_syntax_the_first_is_reported() {
    for (text, line) in [
        ("a = \nb = [1 2]\nc = \"x\nd = 1\nd = 2\n", "1"),
        ("[[routes]]\npaths = [\"/\"\nservice = \"a\"\n[[routes]]\npaths = [\"/\"]\nservice = \"b\"\n", "3"),
    ] {
        let found = findings(text);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].starts_with(line), "{found:#?}");
    }
}

#[test]
fn a_value_that_is_missing_is_asked_for() {
    for (text, missing) in [
        ("chain =", true),
        ("chain = # none\nroutes = []\n", true),
        ("services = [{ name = , url = \"http://a\" }]\n", true),
        ("chain = key-auth\n", false),
        ("name = \"a=\n", false),
    ] {
        let report = parse(text).expect_err("not TOML");
        let found = &report.findings()[0];
        assert_eq!(found.message == "a value is missing after `=`", missing, "{found:?} in {text}");
        assert!((found.hint.is_some() || !missing) && found.line == 1, "{found:?} in {text}");
    }
    for text in [
        "name = \"\"\"\nkey =",
        "name = \"\"\"\nkey =\n",
        "name = '''\nkey =",
        "# key =\n]",
        "chain = [\"a\"\n# key =\n}\n",
        "# key =]\n]\n",
    ] {
        let report = parse(text).expect_err("not TOML");
        let found = &report.findings()[0];
        assert_ne!(found.message, "a value is missing after `=`", "{found:?} in {text}");
    }
}

#[test]
fn a_report_has_one_headline() {
    let one = report("routes = 5", |_| None).render_plain();
    assert!(one.starts_with("  × expected a list"), "{one}");
    let two = report("routes = 5\nchain = 5", |_| None).render_plain();
    assert!(two.starts_with("gateway.toml has 2 problems\n\n  × expected a list"), "{two}");
    assert!(!two.contains("Error"), "{two}");
}

#[test]
fn the_rendered_report_shows_all_lines_with_carets_and_hints() {
    let text = format!(
        "{SERVICE}\n[[routes]]\nname = \"orders\"\nservice = \"ordres\"\npathz = [\"/orders\"]\nhosts = [\"a.com\"]\n"
    );
    let report = report(&text, |_| None);
    let rendered = report.render_plain();
    for expected in [
        "gateway.toml has 2 problems",
        "there is no service `ordres`",
        "gateway.toml:7:11",
        "7 │ service = \"ordres\"",
        "did you mean `orders`?",
        "unknown key `pathz`",
        "gateway.toml:8:1",
        "did you mean `paths`?",
    ] {
        assert!(rendered.contains(expected), "{expected:?} is not in\n{rendered}");
    }
    assert_eq!(
        report.summary(),
        "gateway.toml:7:11: there is no service `ordres` (did you mean `orders`?), and 1 more problem"
    );
}

#[test]
fn a_duplicate_shows_both_places() {
    let text = format!("{SERVICE}\n\n\n\n\n\n{SERVICE}");
    let rendered = report(&text, |_| None).render_plain();
    assert!(rendered.contains("first used here") && rendered.contains("11 │ name"), "{rendered}");
}

#[test]
fn variables_are_expanded_and_templates_are_left_alone() {
    let text = "a = \"x-${env:ONE}-${env:TWO}$\"\nb = [\"$${env:ONE}\", \"${other}\", \"$5\"]\n";
    let mut document = parse(text).expect("valid TOML");
    document.expand(|name| Some(name.to_lowercase()));
    assert_eq!(document.tree(), &json!({ "a": "x-one-two$", "b": ["${env:ONE}", "${other}", "$5"] }));
}

#[test]
fn no_secret_is_shown() {
    let canary = "canary-7b1f";
    let text = r#"
chain = ["${env:SECRET}"]
[[services]]
name = "s"
url = "ftp://user:canary-7b1f@host"
[[consumers]]
name = "a"
keys = [{ key = "canary-7b1f", oops = 1 }, { key = "canary-7b1f" }, "canary-7b1f"]
[[plugins]]
name = "b"
on_error = "${env:SECRET}"
secret = ["canary-7b1f"]
module = "-"
"#;
    let report = report(text, |_| Some(canary.to_owned()));
    let shown = format!("{report:?} {} {}", report.render_plain(), report.summary());
    assert_eq!(report.findings().len(), 8, "{shown}");
    assert!(!shown.contains(canary), "{shown}");
    assert!(shown.contains("there is no plugin `${env:SECRET}`"), "{shown}");
    assert!(shown.contains("oops = 1"), "{shown}");

    for typo in [
        "[[consumers]]\nname = \"demo\"\napikey = \"canary-7b1f\"\n",
        "[[consumers]]\nname = \"demo\"\nkyes = [{ kee = \"canary-7b1f\" }]\nsecert = \"canary-7b1f\"\n",
        "[[consumer]]\nname = \"demo\"\nlogin = \"canary-7b1f\"\n",
        "consumers = [{ name = \"demo\", kye = \"canary-7b1f\" }]\n",
        "[[plugins]]\nname = \"p\"\nmodul = \"p\"\nconfig = { authorization = \"canary-7b1f\", DB_PWD = \"canary-7b1f\" }\n",
        "[[plugins]]\nname = \"p\"\nconfig = { userpass = \"canary-7b1f\" }\nMyPrivateThing = \"canary-7b1f\"\n",
    ] {
        for text in [typo.to_owned(), format!("{typo}[broken\n")] {
            let report = match parse(&text) {
                Ok(document) => document.read(|tree| ConfigSet::assemble(tree, None)).expect_err("a typo"),
                Err(report) => report,
            };
            let shown = format!("{report:?} {} {}", report.render_plain(), report.summary());
            assert!(!shown.contains(canary), "{shown}");
        }
    }

    let unclosed = "a = [\npassword = \"canary-7b1f\nkeys = [\n  \"canary-7b1f\",\n\"canary-7b1f]\nx = [\n";
    let report = parse(unclosed).expect_err("not TOML");
    let shown = format!("{report:?} {}", report.render_plain());
    assert!(!shown.contains(canary), "{shown}");
}

#[test]
fn a_report_of_thousands_stays_readable() {
    let text = "[[routes]]\n".repeat(3_000);
    let report = report(&text, |_| None);
    assert_eq!(report.findings().len(), 9_000);
    assert!(report.render_plain().contains("and 8900 more problems"));
}

proptest! {
    /// Whatever the keys and values are, a value's place is where its text stands.
    #[test]
    fn places_point_at_the_text(
        entries in prop::collection::btree_map("[a-z \\.\"\\[\\]é]{1,8}", "[a-zé\\\\\" ]{0,8}", 1..8),
        style in 0..3,
    ) {
        let quoted = |text: &str| Value::from(text).to_string();
        let mut text = String::from(if style == 0 { "" } else { "# é\n" });
        let entry = |(key, value): (&String, &String)| format!("{} = {}", quoted(key), quoted(value));
        match style {
            0 => text += &entries.iter().map(entry).collect::<Vec<_>>().join("\n"),
            1 => text += &format!("[[list]]\n{}\n", entries.iter().map(entry).collect::<Vec<_>>().join("\n")),
            _ => text += &format!("list = [{{ {} }}]", entries.iter().map(entry).collect::<Vec<_>>().join(", ")),
        }
        let document = parse(&text).expect("valid TOML");
        let root = tollgate_model::decode::Place::Root;
        let list = root.key("list");
        let row = list.index(0);
        for (key, value) in &entries {
            let place = if style == 0 { root.key(key) } else { row.key(key) };
            let span = document.locate(&place.to_string()).expect("a place");
            prop_assert_eq!(&text[span], quoted(value));
        }
    }
}
