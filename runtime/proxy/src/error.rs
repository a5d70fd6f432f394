use http::StatusCode;

/// What can go wrong with a request, each with its status, metric label and text for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request's framing, target or Host is not acceptable.
    BadRequest(&'static str),
    NoRoute,
    MethodNotAllowed,
    TargetTooLong,
    HeadTooLarge,
    BodyTooLarge,
    /// The route can't be served on this node: a module is missing or broken.
    Degraded,
    /// A hook failed and its policy is closed.
    PluginFailed,
    /// No plugin instance was free in time.
    PluginBusy,
    /// Plugins want the whole body, and there is no room for it beside those that are held already.
    BodiesHeld,
    NoTarget,
    ConnectFailed,
    ConnectTimeout,
    /// Who the target is could not be verified, or it did not accept who we are.
    UpstreamTls,
    UpstreamFailed,
    UpstreamTimeout,
    /// The client's body broke off or stalled.
    ClientBody,
    ClientTimeout,
}

impl ErrorKind {
    pub fn status(self) -> StatusCode {
        match self {
            ErrorKind::BadRequest(_) | ErrorKind::ClientBody => StatusCode::BAD_REQUEST,
            ErrorKind::NoRoute => StatusCode::NOT_FOUND,
            ErrorKind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            ErrorKind::TargetTooLong => StatusCode::URI_TOO_LONG,
            ErrorKind::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            ErrorKind::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::ClientTimeout => StatusCode::REQUEST_TIMEOUT,
            ErrorKind::PluginFailed => StatusCode::INTERNAL_SERVER_ERROR,
            ErrorKind::Degraded | ErrorKind::PluginBusy | ErrorKind::BodiesHeld | ErrorKind::NoTarget => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            ErrorKind::ConnectFailed | ErrorKind::UpstreamTls | ErrorKind::UpstreamFailed => StatusCode::BAD_GATEWAY,
            ErrorKind::ConnectTimeout | ErrorKind::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// Metric label.
    pub fn label(self) -> &'static str {
        LABELS[self.index()]
    }

    /// Text for the client: what happened, nothing of what is behind the gateway.
    pub fn message(self) -> &'static str {
        match self {
            ErrorKind::BadRequest(what) => what,
            ErrorKind::NoRoute => "no route matches this request",
            ErrorKind::MethodNotAllowed => "this method is not supported",
            ErrorKind::TargetTooLong => "the request target is too long",
            ErrorKind::HeadTooLarge => "the request header fields are too large or too many",
            ErrorKind::BodyTooLarge => "the request body is too large",
            ErrorKind::Degraded => "this route can't be served at the moment",
            ErrorKind::PluginFailed => "an internal error occurred",
            ErrorKind::PluginBusy | ErrorKind::BodiesHeld => "the gateway is overloaded, try again",
            ErrorKind::NoTarget => "no upstream target is available",
            ErrorKind::ConnectFailed => "the upstream can't be reached",
            ErrorKind::ConnectTimeout => "connecting to the upstream took too long",
            ErrorKind::UpstreamTls => "no trusted connection to the upstream is possible",
            ErrorKind::UpstreamFailed => "the upstream gave no valid response",
            ErrorKind::UpstreamTimeout => "the upstream took too long to respond",
            ErrorKind::ClientBody => "the request body is broken",
            ErrorKind::ClientTimeout => "the request body came too slowly",
        }
    }

    /// A client may try the same again, after so many seconds.
    pub(crate) fn retry_after(self) -> Option<u32> {
        match self {
            ErrorKind::PluginBusy | ErrorKind::BodiesHeld | ErrorKind::NoTarget => Some(1),
            ErrorKind::Degraded => Some(5),
            _ => None,
        }
    }

    /// Position among [`LABELS`].
    pub(crate) fn index(self) -> usize {
        match self {
            ErrorKind::BadRequest(_) => 0,
            ErrorKind::NoRoute => 1,
            ErrorKind::MethodNotAllowed => 2,
            ErrorKind::TargetTooLong => 3,
            ErrorKind::HeadTooLarge => 4,
            ErrorKind::BodyTooLarge => 5,
            ErrorKind::Degraded => 6,
            ErrorKind::PluginFailed => 7,
            ErrorKind::PluginBusy => 8,
            ErrorKind::NoTarget => 9,
            ErrorKind::ConnectFailed => 10,
            ErrorKind::ConnectTimeout => 11,
            ErrorKind::UpstreamFailed => 12,
            ErrorKind::UpstreamTimeout => 13,
            ErrorKind::ClientBody => 14,
            ErrorKind::ClientTimeout => 15,
            ErrorKind::UpstreamTls => 16,
            ErrorKind::BodiesHeld => 17,
        }
    }
}

/// Metric labels in the order of [`ErrorKind::index`].
pub(crate) const LABELS: [&str; 18] = [
    "bad_request",
    "no_route",
    "method_not_allowed",
    "target_too_long",
    "head_too_large",
    "body_too_large",
    "degraded",
    "plugin_failed",
    "plugin_busy",
    "no_target",
    "connect_failed",
    "connect_timeout",
    "upstream_failed",
    "upstream_timeout",
    "client_body",
    "client_timeout",
    "upstream_tls",
    "bodies_held",
];
