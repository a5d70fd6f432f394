use std::sync::Arc;

use http::{HeaderName, HeaderValue};

/// Consumers and credentials, as of the snapshot that a request was routed by.
pub trait Directory: Send + Sync {
    /// The identity behind an API key.
    fn find_key(&self, key: &[u8]) -> Option<Arc<Identity>>;

    /// A consumer without a credential, by name.
    fn find_anonymous(&self, consumer: &str) -> Option<Arc<Identity>>;
}

/// Who makes a request. Built once for each credential, so that setting one costs no allocation.
#[derive(Debug)]
pub struct Identity {
    pub consumer_id: Arc<str>,
    pub consumer_name: Arc<str>,
    pub custom_id: Option<Arc<str>>,
    pub credential_id: Option<Arc<str>>,
    pub anonymous: bool,
    /// What the upstream is told about the consumer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}
