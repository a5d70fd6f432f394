use rand::TryRngCore;
use rand::rngs::OsRng;
use secrecy::SecretString;

/// A new API key and the prefix by which people recognise it.
///
/// The key is `tg_` and 32 letters and digits (190 random bits from the operating system). The prefix
/// is its first 11 characters: it may be stored and shown, what is left to guess are 142 bits.
pub fn generate_key() -> (SecretString, String) {
    generate(MARK, RANDOM_CHARACTERS)
}

/// A new token for the admin API, `tgt_` and 40 letters and digits (238 random bits), and its first 12 characters.
pub fn generate_token() -> (SecretString, String) {
    generate(TOKEN_MARK, TOKEN_CHARACTERS)
}

fn generate(mark: &str, characters: usize) -> (SecretString, String) {
    let mut key = String::with_capacity(mark.len() + characters);
    key.push_str(mark);
    while key.len() < mark.len() + characters {
        // One that is out of range is drawn anew; the rest of the division would favour some letters.
        let drawn = usize::from(random_byte()) & 0b11_1111;
        if let Some(&character) = ALPHABET.get(drawn) {
            key.push(char::from(character));
        }
    }
    let prefix = key[..mark.len() + PREFIX_CHARACTERS].to_owned();
    (SecretString::from(key), prefix)
}

fn random_byte() -> u8 {
    let mut byte = [0];
    OsRng.try_fill_bytes(&mut byte).expect("the system's random generator is ready before any process runs");
    byte[0]
}

/// So that secret scanners, and people, know what they found.
const MARK: &str = "tg_";
const RANDOM_CHARACTERS: usize = 32;
const TOKEN_MARK: &str = "tgt_";
const TOKEN_CHARACTERS: usize = 40;
const PREFIX_CHARACTERS: usize = 8;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn keys_have_their_form_and_do_not_repeat() {
        let mut seen = HashSet::new();
        for _ in 0..1000 {
            let (key, prefix) = generate_key();
            let key = key.expose_secret();
            assert_eq!(key.len(), 35);
            assert!(key.starts_with("tg_") && key[3..].bytes().all(|b| b.is_ascii_alphanumeric()), "{key}");
            assert_eq!(prefix, key[..11]);
            assert!(seen.insert(key.to_owned()), "{key} came twice");
        }
    }

    #[test]
    fn every_letter_and_digit_occurs() {
        let text: String = (0..200).map(|_| generate_key().0.expose_secret()[3..].to_owned()).collect();
        let used: HashSet<u8> = text.bytes().collect();
        assert_eq!(used.len(), 62);
    }
}
