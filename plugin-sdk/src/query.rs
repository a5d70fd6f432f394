//! Reading a query string (`a=1&b=2`), as the gateway reads it: `+` is a space, `%XX` a byte,
//! broken escapes stay as they are.

use std::borrow::Cow;

/// Names and values, decoded, in order. Empty pieces are skipped.
pub fn pairs(query: &[u8]) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    query.split(|&byte| byte == b'&').filter(|piece| !piece.is_empty()).map(|piece| {
        let (name, value) = match piece.iter().position(|&byte| byte == b'=') {
            Some(at) => (&piece[..at], &piece[at + 1..]),
            None => (piece, &piece[..0]),
        };
        (decode(name), decode(value))
    })
}

/// The text with its escapes resolved; borrowed when it has none.
pub fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        let (byte, tail) = match (first, escape(tail)) {
            (b'+', _) => (b' ', tail),
            (b'%', Some(byte)) => (byte, &tail[2..]),
            _ => (first, tail),
        };
        decoded.push(byte);
        rest = tail;
    }
    Cow::Owned(decoded)
}

fn escape(digits: &[u8]) -> Option<u8> {
    let [high, low, ..] = digits else { return None };
    let digit = |byte: &u8| (*byte as char).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Vec<(String, String)> {
        let text = |bytes: Cow<[u8]>| String::from_utf8_lossy(&bytes).into_owned();
        pairs(query.as_bytes()).map(|(name, value)| (text(name), text(value))).collect()
    }

    #[test]
    fn pairs_are_decoded_in_order() {
        let expected = [("a", "1 2"), ("api key", "x=y"), ("flag", ""), ("a", "3")];
        assert_eq!(read("a=1+2&&api%20key=x=y&flag&a=%33"), expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    #[test]
    fn broken_escapes_stay() {
        assert_eq!(read("a=%zz%4"), [("a".to_owned(), "%zz%4".to_owned())]);
    }
}
