//! Entities of our own `gateway.toml` beyond the templates.

use std::fmt::Write as _;

use super::keys::Key;

/// Goes with [`super::certificate::write`].
pub const CERTIFICATE: &str = "
[[certificates]]
name = \"default\"
certificate_file = \"certificate.pem\"
key_file = \"key.pem\"
";

/// A consumer with its key a piece.
pub fn consumers(keys: &[Key]) -> String {
    keys.iter().fold(String::new(), |mut text, Key { key, consumer }| {
        let _ = write!(text, "\n[[consumers]]\nname = \"{consumer}\"\nkeys = [{{ key = \"{key}\" }}]\n");
        text
    })
}

/// So many routes to the upstream, told apart by the first two segments `/api/service-<number>`. A single one takes
/// all of `/api`, so that the same requests reach it.
pub fn routes(count: usize, upstream: u16) -> String {
    let mut text = format!("[[services]]\nname = \"upstream\"\nurl = \"http://127.0.0.1:{upstream}\"\n");
    if count == 1 {
        text += &route("all", "/api");
    }
    (0..count).filter(|_| count > 1).for_each(|number| text += &numbered(number));
    text
}

/// One of [`routes`].
pub fn numbered(number: usize) -> String {
    route(&format!("route-{number}"), &format!("/api/service-{number}"))
}

fn route(name: &str, path: &str) -> String {
    format!("\n[[routes]]\nname = \"{name}\"\nservice = \"upstream\"\npaths = [\"{path}\"]\n")
}

#[cfg(test)]
mod tests {
    use super::super::keys;
    use super::*;

    #[test]
    fn everything_parses() {
        let count = |text: &str, section: &str| text.parse::<toml::Table>().unwrap()[section].as_array().unwrap().len();
        assert_eq!(count(&consumers(&keys::thousand()), "consumers"), 1000);
        assert_eq!(count(&routes(1, 80), "routes"), 1);
        assert_eq!(count(&(routes(50, 80) + &numbered(50) + CERTIFICATE), "routes"), 51);
    }
}
