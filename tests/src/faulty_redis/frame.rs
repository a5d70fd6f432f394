//! Frames of RESP2 and RESP3, as far as telling one from the next.

/// Of the first frame, in bytes; `None`: it is not whole yet. What is no RESP passes as it is.
pub(super) fn length(buffer: &[u8]) -> Option<usize> {
    value(buffer, 0)
}

/// Whether it is a message of a channel: a push, or an array in RESP2.
pub(super) fn is_message(frame: &[u8]) -> bool {
    [&b">3\r\n$7\r\nmessage\r\n"[..], b"*3\r\n$7\r\nmessage\r\n"].iter().any(|start| frame.starts_with(start))
}

/// Where the value that begins at `at` ends.
fn value(buffer: &[u8], at: usize) -> Option<usize> {
    let rest = buffer.get(at..)?;
    let end = at + rest.windows(2).position(|two| two == b"\r\n")? + 2;
    let number = std::str::from_utf8(&buffer[at + 1..end - 2]).ok().and_then(|text| text.parse::<i64>().ok());
    let count = usize::try_from(number.unwrap_or(0)).unwrap_or(0);
    match buffer[at] {
        b'$' | b'!' | b'=' if number.is_some_and(|number| number >= 0) => {
            let end = end + count + 2;
            (end <= buffer.len()).then_some(end)
        }
        b'*' | b'>' | b'~' => (0..count).try_fold(end, |at, _| value(buffer, at)),
        b'%' => (0..count * 2).try_fold(end, |at, _| value(buffer, at)),
        // Attributes, which stand before a value.
        b'|' => (0..=count * 2).try_fold(end, |at, _| value(buffer, at)),
        _ => Some(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_whole_or_waited_for() {
        for frame in [
            "+OK\r\n",
            ":7\r\n",
            "$-1\r\n",
            "$0\r\n\r\n",
            "$4\r\na\r\nb\r\n",
            "*0\r\n",
            "*2\r\n:1\r\n$1\r\na\r\n",
            "%1\r\n+a\r\n*1\r\n#t\r\n",
            "|1\r\n+a\r\n+b\r\n:1\r\n",
            ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\np\r\n",
        ] {
            let followed = format!("{frame}+next\r\n");
            assert_eq!(length(followed.as_bytes()), Some(frame.len()), "{frame:?}");
            for end in 0..frame.len() {
                assert_eq!(length(&frame.as_bytes()[..end]), None, "{:?}", &frame[..end]);
            }
        }
        assert!(is_message(b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\np\r\n"));
        assert!(!is_message(b">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"));
    }
}
