use tollgate_model::normal_form::{self, PathRules};

/// The normal form of a path is its own normal form, has nothing in it that servers read in different ways, and
/// says the same as the path itself.
pub fn path(data: &[u8]) {
    let Ok(raw) = std::str::from_utf8(data) else { return };
    let strict = normal_form::path(raw, PathRules::Strict);
    let lenient = normal_form::path(raw, PathRules::Lenient);
    if let Ok(normal) = &strict {
        assert_eq!(lenient.as_ref(), Ok(normal), "lenient rules take what strict ones take, and as that");
        assert!(!normal.contains([';']), "{normal}");
    }
    let Ok(normal) = lenient else { return };
    for rules in [PathRules::Strict, PathRules::Lenient] {
        if normal_form::path(raw, rules).is_ok() {
            assert_eq!(normal_form::path(&normal, rules).as_deref(), Ok(&*normal), "of {raw:?}");
        }
    }
    assert!(normal.starts_with('/') && !normal.contains("//") && !normal.contains('\\'), "{normal}");
    assert!(normal.bytes().all(|byte| byte.is_ascii_graphic()), "{normal}");
    assert!(!normal.split('/').any(|segment| matches!(segment, "." | "..")), "{normal}");
    let decoded = decoded(&normal);
    assert!(!decoded.iter().any(|byte| byte.is_ascii_control() || *byte == b'\\'), "{normal}");
    assert_eq!(decoded.iter().filter(|byte| **byte == b'/').count(), normal.matches('/').count(), "{normal}");
    assert_eq!(decoded, resolved(&self::decoded(raw)), "of {raw:?}");
}

/// A second, plain way to the same: first every escape, then the segments (RFC 3986, 5.2.4).
fn decoded(path: &str) -> Vec<u8> {
    let mut bytes = path.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let digits = [bytes.next(), bytes.next()].map(|digit| char::from(digit.expect("a digit")));
                digits.into_iter().fold(0, |value, digit| value * 16 + digit.to_digit(16).expect("a digit") as u8)
            }
            plain => plain,
        });
    }
    out
}

fn resolved(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let segments: Vec<&[u8]> = path.split(|byte| *byte == b'/').skip(1).collect();
    for segment in &segments {
        match *segment {
            b"" | b"." => {}
            b".." => drop(kept.pop()),
            name => kept.push(name),
        }
    }
    let mut out = vec![b'/'];
    out.extend(kept.join(&b'/'));
    if !kept.is_empty() && matches!(segments.last(), Some(&(b"" | b"." | b".."))) {
        out.push(b'/');
    }
    out
}
