use bytes::Bytes;
use tokio::io::AsyncReadExt;

use crate::protocol::{Opened, PREFACE, Protocol, protocol_of};

/// However many bytes are looked at, they never tell of another protocol than more of them would; and what was
/// looked at is still there to be read.
pub fn preface(data: &[u8]) {
    let whole = protocol_of(data, true).expect("at the end it is known");
    assert_eq!(whole == Protocol::Http2, data.starts_with(PREFACE));
    for length in 0..=data.len().min(PREFACE.len() + 1) {
        let told = protocol_of(&data[..length], false);
        assert!(told.is_none() || told == Some(whole), "after {length} bytes");
        assert!(told.is_some() || length < PREFACE.len(), "after {length} bytes");

        let mut opened = Opened::new(Bytes::copy_from_slice(&data[..length]), &data[length..]);
        let mut again = Vec::new();
        super::http1::run(opened.read_to_end(&mut again)).expect("memory can be read");
        assert_eq!(again, data);
    }
}
