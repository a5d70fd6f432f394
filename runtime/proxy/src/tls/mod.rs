//! TLS towards clients.

mod certificate;
mod certificates;
mod server;

pub use certificate::{BadCertificate, ServerCertificate};
pub use certificates::{CertificateTable, Certificates};
pub(crate) use server::agreed_on_http2;
pub use server::{ClientCertificates, InvalidTls, MinVersion, TlsConfig, TlsServer};
