//! One normal form of a path, for matching and for forwarding alike (RFC 3986, 6.2.2).
//!
//! Escapes of unreserved characters are decoded, other escapes get upper-case digits, dot segments
//! are resolved, empty segments are merged. What different servers read in different ways is
//! refused: an encoded slash, a backslash (plain or encoded), NUL and other controls, escapes that
//! are not two hex digits, and a path that climbs above the root. [`PathRules::Strict`] refuses more:
//! path parameters (`;`), which some servers cut off and others take for a part of the name, and double
//! encoding (`%252e`), which ends as something else where it is decoded twice.

use std::borrow::Cow;

/// How much of what servers read in different ways is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathRules {
    #[default]
    Strict,
    /// Path parameters and double encoding pass as they are.
    Lenient,
}

/// The normal form, or why there is none.
pub fn path(raw: &str, rules: PathRules) -> Result<Cow<'_, str>, &'static str> {
    if is_normal(raw.as_bytes()) {
        return Ok(Cow::Borrowed(raw));
    }
    let decoded = decode(raw)?;
    if rules == PathRules::Strict {
        // Not before: `%25%32e` is `%252e` only now.
        unambiguous(decoded.as_bytes())?;
    }
    resolve(&decoded).map(Cow::Owned)
}

fn unambiguous(decoded: &[u8]) -> Result<(), &'static str> {
    // An encoded semicolon stays encoded: everybody takes it for a part of the name.
    if decoded.contains(&b';') {
        return Err("the path has parameters (`;`), which servers read in different ways");
    }
    let encoded_twice = |part: &[u8]| part.starts_with(b"%25") && part[3..].iter().all(u8::is_ascii_hexdigit);
    if decoded.windows(5).any(encoded_twice) {
        return Err("the path is encoded twice");
    }
    Ok(())
}

/// Nothing to do: the usual case, found in one pass.
fn is_normal(raw: &[u8]) -> bool {
    let mut previous = 0;
    for &byte in raw {
        match byte {
            b'%' | b';' | b'\\' | 0..=0x20 | 0x7f.. => return false,
            b'.' | b'/' if previous == b'/' => return false,
            _ => previous = byte,
        }
    }
    raw.first() == Some(&b'/')
}

fn decode(raw: &str) -> Result<String, &'static str> {
    let mut out = String::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let (high, low) = (bytes.next().and_then(hex), bytes.next().and_then(hex));
                let (Some(high), Some(low)) = (high, low) else { return Err("the path has a broken escape") };
                match high << 4 | low {
                    b'/' => return Err("the path has an encoded slash"),
                    b'\\' => return Err("the path has an encoded backslash"),
                    0..=0x1f | 0x7f => return Err("the path has an encoded control character"),
                    unreserved @ (b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~') => {
                        out.push(unreserved.into());
                    }
                    other => {
                        out.push('%');
                        out.push(HEX[usize::from(other >> 4)].into());
                        out.push(HEX[usize::from(other & 15)].into());
                    }
                }
            }
            b'\\' => return Err("the path has a backslash"),
            0..=0x20 | 0x7f.. => return Err("the path has a character that must be encoded"),
            plain => out.push(plain.into()),
        }
    }
    Ok(out)
}

fn resolve(path: &str) -> Result<String, &'static str> {
    let Some(rest) = path.strip_prefix('/') else { return Err("the path does not start with a slash") };
    let mut kept: Vec<&str> = Vec::new();
    let mut directory = false;
    for segment in rest.split('/') {
        directory = true;
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop().ok_or("the path leads above the root")?;
            }
            // Servers with path parameters see the dots, others a name.
            name if name.starts_with("..;") || name.starts_with(".;") => {
                return Err("the path has a dot segment with parameters");
            }
            name => {
                kept.push(name);
                directory = false;
            }
        }
    }
    let mut out = String::with_capacity(path.len());
    for segment in &kept {
        out.push('/');
        out.push_str(segment);
    }
    if directory || kept.is_empty() {
        out.push('/');
    }
    Ok(out)
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|value| value as u8)
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_one_normal_form() {
        for (raw, normal) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/./b/../c", "/a/c"),
            ("//a///b/", "/a/b/"),
            ("/%61dmin", "/admin"),
            ("/a%20b%c3%a9", "/a%20b%C3%A9"),
            ("/a/%2e%2e/b", "/b"),
            ("/a/..", "/"),
            ("/.well-known/x", "/.well-known/x"),
            ("/a%3bv=1/b:c@d", "/a%3Bv=1/b:c@d"),
        ] {
            assert_eq!(path(raw, PathRules::Strict).as_deref(), Ok(normal), "{raw}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for raw in [
            "/a%2fb",
            "/a%5cb",
            "/a\\b",
            "/a%00",
            "/a%0d%0a",
            "/a/..;x/b",
            "/admin;x/users",
            "/a%252e%252e/b",
            "/a%25%32%65%25%32e/b",
            "/%",
            "/%4",
            "/%zz",
            "/..",
            "/a/../..",
            "*",
            "",
        ] {
            assert!(path(raw, PathRules::Strict).is_err(), "{raw}");
        }
    }

    #[test]
    fn lenient_rules_let_parameters_pass_but_no_dot_segments() {
        for raw in ["/a;v=1/b:c@d", "/a%252fb", "/100%25"] {
            assert_eq!(path(raw, PathRules::Lenient).as_deref(), Ok(raw));
        }
        assert!(path("/a/..;x/b", PathRules::Lenient).is_err());
    }

    #[test]
    fn a_normal_form_is_its_own_normal_form() {
        for raw in ["/a/./b", "//x", "/%7euser/%2B", "/a%25b", "/a/b/../%2e/c//"] {
            let once = path(raw, PathRules::Strict).unwrap().into_owned();
            assert_eq!(path(&once, PathRules::Strict).unwrap(), once, "{raw}");
        }
    }
}
