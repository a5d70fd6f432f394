//! A client's wish to change protocols: by `Upgrade` over HTTP/1.1, by extended CONNECT over HTTP/2.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Version};
use hyper::body::Incoming;
use hyper::ext::Protocol;
use hyper::upgrade::OnUpgrade;
use sha1::{Digest, Sha1};

use crate::fields;

/// The wish, and the client's end of the connection.
pub(crate) struct Upgrade {
    pub(crate) protocol: HeaderValue,
    pub(crate) client: OnUpgrade,
    /// Only over HTTP/2.
    pub(crate) handshake: Option<Handshake>,
}

/// The proof that an upstream understood a WebSocket request. Over HTTP/2 there is none of it
/// (RFC 8441, 5.1), so that it is the gateway that asks for it.
pub(crate) struct Handshake {
    key: HeaderValue,
    accept: HeaderValue,
}

impl Upgrade {
    /// The wish of a request. Extended CONNECT for a WebSocket becomes the GET that it is over
    /// HTTP/1.1 (RFC 8441, 5): that is what routes and plugins see.
    pub(crate) fn wanted(request: &mut Request<Incoming>) -> Option<Upgrade> {
        match request.version() {
            Version::HTTP_11 => {
                // An upgrade to HTTP/2 would carry requests past every chain.
                let protocol = fields::upgrade(request.headers())?;
                if protocol.as_bytes().to_ascii_lowercase().windows(3).any(|part| part == b"h2c") {
                    return None;
                }
                Some(Upgrade { protocol, client: hyper::upgrade::on(request), handshake: None })
            }
            Version::HTTP_2 if request.method() == Method::CONNECT => {
                let protocol = request.extensions().get::<Protocol>()?;
                if !protocol.as_str().eq_ignore_ascii_case("websocket") {
                    return None;
                }
                *request.method_mut() = Method::GET;
                let client = hyper::upgrade::on(&mut *request);
                let handshake = Handshake::new(rand::random());
                Some(Upgrade { protocol: HeaderValue::from_static("websocket"), client, handshake: Some(handshake) })
            }
            _ => None,
        }
    }

    /// Adds what the upstream's HTTP/1.1 asks for and the client did not send.
    pub(crate) fn complete(&self, headers: &mut HeaderMap) {
        if let Some(handshake) = &self.handshake {
            headers.insert(KEY, handshake.key.clone());
        }
    }
}

impl Handshake {
    fn new(nonce: [u8; 16]) -> Handshake {
        let key = STANDARD.encode(nonce);
        let accept = STANDARD.encode(Sha1::digest(format!("{key}{GUID}")));
        let field = |text: String| HeaderValue::try_from(text).expect("base64 is a field value");
        Handshake { key: field(key), accept: field(accept) }
    }

    /// Whether the upstream answered to the key it was sent; takes the answer out, which is not for
    /// the client.
    pub(crate) fn is_proven(&self, headers: &mut HeaderMap) -> bool {
        let mut answers = headers.get_all(ACCEPT).iter();
        let proven = answers.next() == Some(&self.accept) && answers.next().is_none();
        headers.remove(ACCEPT);
        proven
    }
}

const KEY: HeaderName = HeaderName::from_static("sec-websocket-key");
const ACCEPT: HeaderName = HeaderName::from_static("sec-websocket-accept");
/// RFC 6455, 1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_belongs_to_the_key() {
        // The example of RFC 6455, 1.3.
        let handshake = Handshake::new(*b"the sample nonce");
        assert_eq!(handshake.key, "dGhlIHNhbXBsZSBub25jZQ==");
        let mut headers = HeaderMap::new();
        assert!(!handshake.is_proven(&mut headers));
        headers.insert(ACCEPT, HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert!(handshake.is_proven(&mut headers));
        assert!(headers.is_empty());
    }
}
