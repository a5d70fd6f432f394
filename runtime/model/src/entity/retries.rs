use std::time::Duration;

/// When a request is sent to a service once more.
///
/// Independent of it, what a target certainly never saw (no connection could be made, a kept one turned
/// out closed, an HTTP/2 stream was refused) moves on to another connection or target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retries {
    /// How often one request is sent at most, 1 to 10. Default 1.
    pub attempts: u16,
    /// As `timeouts.response`, for each attempt by itself. Default: only the timeouts.
    pub per_try_timeout: Option<Duration>,
    /// Default: connection failures, resets, 503.
    pub on: Vec<RetryOn>,
    /// Default: the idempotent ones (RFC 9110, 9.2.2). What was never sent is sent again whatever the
    /// method.
    pub methods: Vec<http::Method>,
    /// Bytes of a request's body that are kept for another attempt. A request of whose body more was
    /// sent is not repeated. Default 64 KiB.
    pub body_size: u64,
}

/// Something after which a request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryOn {
    /// No target could be connected to.
    ConnectFailure,
    /// No head of a response in time.
    Timeout,
    /// The connection or stream broke before the head of a response.
    Reset,
    BadGateway,
    Unavailable,
    GatewayTimeout,
}

impl Retries {
    pub const MOST_ATTEMPTS: u16 = 10;
}

impl Default for Retries {
    fn default() -> Self {
        use http::Method;
        Retries {
            attempts: 1,
            per_try_timeout: None,
            on: vec![RetryOn::ConnectFailure, RetryOn::Reset, RetryOn::Unavailable],
            methods: vec![Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE, Method::PUT, Method::DELETE],
            body_size: 64 << 10,
        }
    }
}

impl RetryOn {
    /// Every one, as a configuration writes it.
    pub const WORDS: [(&str, RetryOn); 6] = [
        ("connect-failure", RetryOn::ConnectFailure),
        ("timeout", RetryOn::Timeout),
        ("reset", RetryOn::Reset),
        ("502", RetryOn::BadGateway),
        ("503", RetryOn::Unavailable),
        ("504", RetryOn::GatewayTimeout),
    ];

    /// What an answer of this status is, if it is one of them.
    pub fn of_status(status: u16) -> Option<RetryOn> {
        match status {
            502 => Some(RetryOn::BadGateway),
            503 => Some(RetryOn::Unavailable),
            504 => Some(RetryOn::GatewayTimeout),
            _ => None,
        }
    }

    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, on)| *on == self).map_or("", |(word, _)| word)
    }
}
