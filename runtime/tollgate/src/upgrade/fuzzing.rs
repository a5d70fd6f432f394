use tokio::io::AsyncReadExt;

use super::successor::heard;
use super::{READY, door};

/// What comes in at the door or over the channel to a successor is understood the same however it is cut into
/// reads, and never takes more memory than is allowed.
///
/// The first byte is the size of the first piece.
pub fn upgrade(data: &[u8]) {
    let [cut, bytes @ ..] = data else { return };
    let (first, second) = bytes.split_at(usize::from(*cut).min(bytes.len()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers");
    runtime.block_on(async {
        let whole = door::read(bytes).await;
        let pieces = door::read(first.chain(second)).await;
        assert_eq!(whole.is_ok(), pieces.is_ok());
        if let (Ok(whole), Ok(pieces)) = (whole, pieces) {
            assert_eq!((&whole.binary, whole.timeout), (&pieces.binary, pieces.timeout));
            assert!(
                bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len()) as u64 <= door::LONGEST_REQUEST
            );
        }

        let (mut whole, mut pieces) = (Vec::new(), Vec::new());
        let ready = heard(bytes, &mut whole).await.expect("memory can be read");
        assert_eq!(ready, heard(first.chain(second), &mut pieces).await.expect("memory can be read"));
        assert_eq!(ready, bytes.starts_with(READY.as_bytes()));
    });
}
