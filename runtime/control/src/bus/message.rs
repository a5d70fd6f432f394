//! A message on the wire: `1 REVISION SENDER`, where 1 is the version of this form.

/// Who sent a message: 1 to 64 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sender(String);

impl Sender {
    /// Of any text; what does not fit is left out.
    pub(super) fn new(text: &str) -> Sender {
        let fitting: String = text.chars().filter(char::is_ascii_graphic).take(LONGEST).collect();
        Sender(if fitting.is_empty() { "-".to_owned() } else { fitting })
    }
}

pub(super) fn write(revision: u64, sender: &Sender) -> String {
    format!("1 {revision} {}", sender.0)
}

/// `None`: it is odd, or of a version that is not known here.
pub(super) fn read(payload: &[u8]) -> Option<(u64, Sender)> {
    if payload.len() > LONGEST + 24 {
        return None;
    }
    let rest = std::str::from_utf8(payload).ok()?.strip_prefix("1 ")?;
    let (number, sender) = rest.split_once(' ')?;
    let is_canonical = number.bytes().all(|byte| byte.is_ascii_digit()) && (number == "0" || !number.starts_with('0'));
    let revision = number.parse().ok().filter(|_| is_canonical)?;
    let fits = (1..=LONGEST).contains(&sender.len()) && sender.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| (revision, Sender(sender.to_owned())))
}

const LONGEST: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn odd_messages_are_ignored() {
        for odd in ["", "1", "1 ", "1 5", "1 5 ", "1  5 a", "2 5 a", "1 -5 a", "1 +5 a", "1 05 a", "1 5 a b", "1 5 a\n"]
        {
            assert_eq!(read(odd.as_bytes()), None, "{odd:?}");
        }
        assert_eq!(read(b"1 18446744073709551616 a"), None, "it is too large");
        assert_eq!(read(format!("1 5 {}", "a".repeat(65)).as_bytes()), None);
        assert_eq!(read(b"1 5 \xff"), None);
        assert_eq!(read(b"1 18446744073709551615 a"), Some((u64::MAX, Sender::new("a"))));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(revision: u64, text in "\\PC{0,100}") {
            let sender = Sender::new(&text);
            prop_assert_eq!(read(write(revision, &sender).as_bytes()), Some((revision, sender)));
        }

        #[test]
        fn what_is_read_was_written(payload in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..100),
            "[0-2]? ?[+0-9]{0,21} ?[ -~]{0,70}".prop_map(String::into_bytes),
        ]) {
            if let Some((revision, sender)) = read(&payload) {
                prop_assert_eq!(write(revision, &sender).into_bytes(), payload);
            }
        }
    }
}
