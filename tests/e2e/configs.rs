//! Texts of `gateway.toml` that several tests start from.

use tollgate_tests::Origin;

/// Everything goes to the origin.
pub fn plain(origin: &Origin) -> String {
    chained(origin, &[])
}

/// Everything goes to the origin, through these plugins; their tables are to be added.
pub fn chained(origin: &Origin, chain: &[&str]) -> String {
    format!(
        r#"
[[services]]
name = "origin"
url = "{url}"

[[routes]]
name = "all"
service = "origin"
paths = ["/"]
chain = {chain:?}
"#,
        url = origin.url()
    )
}

/// A service and a route to it, `/<name>`, both of this name; `lines` stand in the service's table.
pub fn service(name: &str, url: &str, lines: &str) -> String {
    format!(
        r#"
[[services]]
name = "{name}"
url = "{url}"
{lines}

[[routes]]
name = "{name}"
service = "{name}"
paths = ["/{name}"]
"#
    )
}

/// A consumer `demo` with the key `demo-key`, and the plugin that asks for it.
pub const KEYED: &str = r#"
[[consumers]]
name = "demo"
custom_id = "customer-1"
groups = ["gold", "beta"]
keys = [{ id = "demo-first", key = "demo-key" }]

[[plugins]]
name = "key-auth"
module = "key-auth"
grants = { credentials = true }
"#;
