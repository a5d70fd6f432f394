//! The request that is asked about.

use std::net::IpAddr;

use axum::http::header::HOST;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use tollgate_model::RequestFacts;
use tollgate_model::decode::parse_authority;
use tollgate_model::normal_form::{self, PathRules};

use crate::refusal::Refusal;

/// As a node would take it in.
#[derive(Debug)]
pub(super) struct Question {
    method: Method,
    host: String,
    path: String,
    query: String,
    headers: HeaderMap,
    /// Of the client; where it is not told, conditions that ask for it are undecided.
    pub(super) address: Option<IpAddr>,
    /// Whom plugins would find out to be calling.
    pub(super) consumer: Option<String>,
}

impl Question {
    pub(super) fn parse(query: &str, rules: PathRules) -> Result<Question, Refusal> {
        let (mut method, mut url, mut headers) = (Method::GET, None, HeaderMap::new());
        let (mut address, mut consumer) = (None, None);
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "method" => method = value.parse().map_err(|_| refused("`method` is no HTTP method, as in `GET`"))?,
                "url" => url = Some(value.into_owned()),
                "header" => {
                    let (name, value) = header(&value)?;
                    headers.append(name, value);
                }
                "address" => address = Some(value.parse().map_err(|_| refused("`address` is no IP address"))?),
                "consumer" => consumer = Some(value.into_owned()),
                _ => {
                    let known = "method, url, header, address, consumer";
                    return Err(refused(&format!("unknown parameter `{key}`, known here: {known}")));
                }
            }
        }
        let url = url.ok_or_else(|| refused("`url` is missing: the URL of the request, or its path"))?;
        let uri: Uri = url.parse().map_err(|_| refused("`url` is no URL, as in `https://shop.example.com/orders`"))?;
        let stated = match headers.get(HOST) {
            Some(host) => host.to_str().ok(),
            None => uri.authority().map(|authority| authority.as_str()),
        };
        let host = match stated {
            Some(authority) => parse_authority(authority).map_err(|complaint| refused(&complaint.message))?.host,
            None => String::new(),
        };
        let path = if uri.path().is_empty() { "/" } else { uri.path() };
        let path = normal_form::path(path, rules)
            .map_err(|reason| refused(&format!("such a request is answered with 400: {reason}")))?;
        Ok(Question {
            method,
            host,
            path: path.into_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
            headers,
            address,
            consumer,
        })
    }
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), Refusal> {
    let (name, value) = text.split_once(':').ok_or_else(|| refused("a `header` is written as `Name: value`"))?;
    let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| refused("a `header` has no valid name"))?;
    let value =
        HeaderValue::from_str(value.trim()).map_err(|_| refused(&format!("the header `{name}` has no valid value")))?;
    Ok((name, value))
}

fn refused(message: &str) -> Refusal {
    Refusal::BadRequest(message.to_owned())
}

impl RequestFacts for Question {
    fn method(&self) -> &Method {
        &self.method
    }

    fn host(&self) -> &str {
        &self.host
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn query(&self) -> &str {
        &self.query
    }

    fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// What depends on it is not decided where it is not known.
    fn client_address(&self) -> IpAddr {
        self.address.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED))
    }
}
