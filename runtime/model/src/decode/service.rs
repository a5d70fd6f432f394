use std::time::Duration;

use serde_json::Value;

use super::{Decode, Fields, Place, PositiveTime, one_of, parse_authority, text};
use crate::entity::{Destination, Protocol, Scheme, Service, Timeouts};
use crate::problem::Complaint;
use crate::{Name, Problems};

impl Decode for Service {
    const ITEM: &'static str = "{ … }";

    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Service> {
        let mut fields = Fields::open(value, place, problems);
        let name = fields.required("name");
        let origin = origin(&mut fields);
        let scheme = origin.as_ref().map(|origin| origin.destination.scheme());
        let protocol = protocol(&mut fields, scheme);
        let tls = fields.maybe("tls").unwrap_or_default();
        if scheme == Some(Scheme::Http) && fields.has("tls") {
            fields.refuse_key("tls", Complaint::new("this service is spoken to in clear", "write https to use TLS"));
        }
        let timeouts = fields.maybe("timeouts").unwrap_or_default();
        let retries = fields.maybe("retries").unwrap_or_default();
        let chain = fields.optional("chain", Vec::new());
        let tags = fields.optional("tags", Vec::new());
        fields.finish()?;
        let Origin { destination, path } = origin?;
        Some(Service { name: name?, destination, path, protocol, tls, timeouts, retries, chain, tags })
    }
}

/// As stated, or what is usual for the scheme.
fn protocol(fields: &mut Fields<'_, '_>, scheme: Option<Scheme>) -> Protocol {
    let stated = fields.maybe("protocol");
    if scheme == Some(Scheme::Http) && stated == Some(Protocol::Auto) {
        let hint = "write \"http1\" or \"http2\", or use https";
        fields.refuse("protocol", Complaint::new("without TLS the protocol can't be negotiated", hint));
    }
    stated.unwrap_or(if scheme == Some(Scheme::Https) { Protocol::Auto } else { Protocol::Http1 })
}

struct Origin {
    destination: Destination,
    path: String,
}

/// Either `url`, or `upstream` with `scheme` and `path`.
fn origin(fields: &mut Fields<'_, '_>) -> Option<Origin> {
    let url = fields.maybe_with("url", |value, place, problems| {
        text(value, place, problems, "a URL such as \"http://10.0.0.1:8080\"", parse_url)
    });
    let upstream: Option<Name> = fields.maybe("upstream");
    let scheme: Option<Scheme> = fields.maybe("scheme");
    let path = fields.maybe_with("path", |value, place, problems| {
        text(value, place, problems, "a path such as \"/api\"", parse_path)
    });
    match (fields.has("url"), fields.has("upstream")) {
        (false, false) => fields
            .refuse_table(Complaint::new("`url` or `upstream` is missing", "as in url = \"http://10.0.0.1:8080\"")),
        (true, true) => {
            fields
                .refuse_key("upstream", Complaint::new("`url` is there as well", "a service has only one of the two"));
        }
        (true, false) => {
            for key in ["scheme", "path"] {
                if fields.has(key) {
                    let message = format!("`{key}` goes with `upstream`");
                    fields.refuse_key(key, Complaint::new(message, "put it into `url`"));
                }
            }
        }
        (false, true) => {}
    }
    match (url, upstream) {
        (Some(origin), _) => Some(origin),
        (None, Some(upstream)) => {
            let scheme = scheme.unwrap_or(Scheme::Http);
            Some(Origin { destination: Destination::Upstream { scheme, upstream }, path: path.unwrap_or_default() })
        }
        (None, None) => None,
    }
}

/// None of the messages shows the URL: it may hold a password, by mistake.
fn parse_url(url: &str) -> Result<Origin, Complaint> {
    let example = "as in \"http://10.0.0.1:8080/api\"";
    let (scheme, rest) = url.split_once("://").ok_or_else(|| Complaint::new("not a URL", example))?;
    let (scheme, default_port) = match scheme.to_ascii_lowercase().as_str() {
        "http" => (Scheme::Http, 80),
        "https" => (Scheme::Https, 443),
        _ => return Err(Complaint::new("the scheme is neither http nor https", example)),
    };
    if rest.contains(['?', '#']) {
        return Err("a service's URL has no query and no fragment".into());
    }
    let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    if authority.contains('@') {
        return Err(Complaint::new("a service's URL has no user name or password", "send credentials with a plugin"));
    }
    let authority = parse_authority(authority)?;
    let port = authority.port.unwrap_or(default_port);
    let path = if path.is_empty() { String::new() } else { parse_path(path)? };
    Ok(Origin { destination: Destination::Host { scheme, host: authority.host, port }, path })
}

/// The prefix before each request's path, without its last slash.
fn parse_path(path: &str) -> Result<String, Complaint> {
    if !path.starts_with('/') {
        return Err(Complaint::new("the path does not start with `/`", "as in \"/api\""));
    }
    if !path.bytes().all(|b| b.is_ascii_graphic()) || path.contains(['?', '#', '"', '<', '>', '\\', '{', '}']) {
        return Err("the path has characters in it that a URL does not allow".into());
    }
    let path = path.trim_end_matches('/');
    if path.contains("//") || path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err("the path has empty, `.` or `..` segments".into());
    }
    Ok(path.to_owned())
}

impl Decode for Scheme {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Scheme> {
        one_of(value, place, problems, &[("http", Scheme::Http), ("https", Scheme::Https)])
    }
}

impl Decode for Protocol {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Protocol> {
        let choices = [("http1", Protocol::Http1), ("http2", Protocol::Http2), ("auto", Protocol::Auto)];
        one_of(value, place, problems, &choices)
    }
}

impl Decode for Timeouts {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Timeouts> {
        let mut fields = Fields::open(value, place, problems);
        let defaults = Timeouts::default();
        let mut timeout = |key, default: Duration| fields.optional(key, PositiveTime(default)).0;
        let timeouts = Timeouts {
            connect: timeout("connect", defaults.connect),
            response: timeout("response", defaults.response),
            idle: timeout("idle", defaults.idle),
        };
        fields.finish()?;
        Some(timeouts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let read = |url: &str| {
            let Origin { destination, path } = parse_url(url).ok()?;
            let Destination::Host { scheme, host, port } = destination else { return None };
            Some((scheme, host, port, path))
        };
        assert_eq!(read("http://127.0.0.1:9000"), Some((Scheme::Http, "127.0.0.1".into(), 9000, String::new())));
        assert_eq!(read("https://Example.com/"), Some((Scheme::Https, "example.com".into(), 443, String::new())));
        assert_eq!(read("http://[::1]/api/v1/"), Some((Scheme::Http, "::1".into(), 80, "/api/v1".into())));
        for url in [
            "",
            "example.com",
            "ftp://a",
            "http://",
            "http:///a",
            "http://u:p@a",
            "http://a?b",
            "http://a/#b",
            "http://a:0",
            "http://a:70000",
            "http://::1",
            "http://a/../b",
            "http://a/b c",
            "http://a//b",
        ] {
            assert_eq!(read(url), None, "{url}");
        }
    }
}
