use crate::tls::ServerCertificate;

/// What stands in the files of a certificate, split at a NUL, is used or refused with a reason.
pub fn certificate(data: &[u8]) {
    let (chain, key) = match memchr::memchr(0, data) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, data),
    };
    match ServerCertificate::from_pem(chain, key) {
        Ok(certificate) => drop((certificate.expires_at(), format!("{certificate:?}"))),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
