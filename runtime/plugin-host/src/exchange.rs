//! The current request, as plugins see it.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version};
use smallvec::SmallVec;
use tollgate_limits::Taken;
use tollgate_model::RequestFacts;

use crate::masking::Masked;
use crate::ports::directory::{Directory, Identity};
use crate::value::Value;

/// A request on its way through the chain. Lives from the first hook to the last; a hook holds it
/// while it runs, nobody holds it while the upstream works on an upgraded connection.
pub struct Exchange {
    pub request: RequestHead,
    pub response: ResponseSide,
    /// Set by the plugin that authenticated the request.
    pub identity: Option<Arc<Identity>>,
    /// JSON members that plugins added to the log record, without braces.
    pub log_fields: String,
    pub(crate) log_field_count: u8,
    /// `None` while no hook may ask it: it holds all consumers.
    pub(crate) directory: Option<Arc<dyn Directory>>,
    pub(crate) context: Context,
    /// The piece that a body hook is called for.
    pub(crate) piece: Option<Bytes>,
    pub(crate) reservations: Reservations,
    pub(crate) masked: Masked,
    home: Weak<Home>,
}

/// Where an exchange is found after its hook was cut off: the future that had it was dropped.
#[derive(Default)]
pub struct Home(Mutex<Option<Box<Exchange>>>);

pub struct RequestHead {
    pub id: HeaderValue,
    pub method: Method,
    /// As the client sent it, normalised.
    pub uri: Uri,
    pub version: Version,
    pub headers: HeaderMap,
    pub scheme: &'static str,
    pub authority: Authority,
    pub client: IpAddr,
    pub peer: SocketAddr,
    pub route: Arc<str>,
    pub service: Arc<str>,
    /// Path and query for the upstream where they differ from `uri`'s.
    pub target: Option<PathAndQuery>,
    /// A `Host` that a plugin chose for the upstream.
    pub host_override: Option<HeaderValue>,
    /// The head went to the upstream: edits are too late.
    pub sent: bool,
}

/// The host a client asked for, in lower case, with the port it gave.
#[derive(Clone, Debug)]
pub struct Authority {
    text: HeaderValue,
    name_length: usize,
}

impl Authority {
    /// `name_length`: bytes of the name in front of the port, brackets of an IPv6 address included.
    pub fn new(text: HeaderValue, name_length: usize) -> Authority {
        let name_length = name_length.min(text.len());
        if text.as_bytes().iter().any(u8::is_ascii_uppercase) {
            let lower = text.as_bytes().to_ascii_lowercase();
            if let Ok(text) = HeaderValue::from_maybe_shared(Bytes::from(lower)) {
                return Authority { text, name_length };
            }
        }
        Authority { text, name_length }
    }

    pub fn header(&self) -> &HeaderValue {
        &self.text
    }

    pub fn as_str(&self) -> &str {
        self.text.to_str().unwrap_or_default()
    }

    pub fn name(&self) -> &str {
        &self.as_str()[..self.name_length.min(self.as_str().len())]
    }
}

/// The response, before and after there is one.
#[derive(Default)]
pub struct ResponseSide {
    /// Edits made before there was a response, in order; replayed on whatever response comes.
    pub(crate) early: SmallVec<[EarlyEdit; 6]>,
    pub answer: Option<PreparedAnswer>,
    pub head: Option<ResponseHead>,
    /// The head went to the client: edits are too late.
    pub sent: bool,
}

/// A field edit that waits for a response.
#[derive(Clone, Debug)]
pub(crate) enum EarlyEdit {
    Set(HeaderName, HeaderValue),
    Append(HeaderName, HeaderValue),
    Remove(HeaderName),
}

#[derive(Debug)]
pub struct ResponseHead {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub origin: Origin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Upstream,
    Plugin,
    Gateway,
}

impl EarlyEdit {
    /// Of the name and the value.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            EarlyEdit::Set(name, value) | EarlyEdit::Append(name, value) => name.as_str().len() + value.len(),
            EarlyEdit::Remove(name) => name.as_str().len(),
        }
    }
}

/// An answer that a plugin prepared instead of the upstream's.
#[derive(Debug)]
pub enum PreparedAnswer {
    Body(StatusCode, Bytes),
    /// In the gateway's own error format.
    Refusal(StatusCode, String),
}

impl Exchange {
    pub fn new(request: RequestHead) -> Box<Exchange> {
        Box::new(Exchange {
            request,
            response: ResponseSide::default(),
            identity: None,
            log_fields: String::new(),
            log_field_count: 0,
            directory: None,
            context: Context::default(),
            piece: None,
            reservations: Reservations::default(),
            masked: Masked::default(),
            home: Weak::new(),
        })
    }
}

impl Exchange {
    /// Where hooks look consumers up.
    pub fn consult(&mut self, directory: Arc<dyn Directory>) {
        self.directory = Some(directory);
    }

    /// From now on a hook that is cut off leaves the exchange there.
    pub fn live_in(&mut self, home: &Arc<Home>) {
        self.home = Arc::downgrade(home);
    }

    /// Path and query as the client sent them, without secrets that plugins took from the query, and
    /// without the values of these parameters.
    pub fn logged_target(&self, secret_parameters: &[Box<str>]) -> Cow<'_, str> {
        let target = self.request.uri.path_and_query().map_or("", PathAndQuery::as_str);
        self.masked.apply(target, secret_parameters)
    }

    pub(crate) fn mask(&mut self, parameter: &str) {
        self.masked.add(parameter, self.request.uri.query());
    }

    pub(crate) fn go_home(self: Box<Exchange>) {
        if let Some(home) = self.home.upgrade() {
            *home.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(self);
        }
    }

    /// No hook will run any more: keeps only what the log record needs.
    pub fn let_go(&mut self) {
        self.directory = None;
        self.context = Context::default();
        self.response = ResponseSide::default();
        self.reservations = Reservations::default();
    }
}

impl Home {
    /// The exchange, if a hook that had it was cut off.
    pub fn take(&self) -> Option<Box<Exchange>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ResponseSide {
    /// There is a response: what was collected for it is put on it.
    pub fn begin(&mut self, status: StatusCode, headers: HeaderMap, origin: Origin) {
        let mut head = ResponseHead { status, headers, origin };
        for edit in self.early.drain(..) {
            match edit {
                EarlyEdit::Set(name, value) => {
                    head.headers.insert(name, value);
                }
                EarlyEdit::Append(name, value) => {
                    head.headers.append(name, value);
                }
                EarlyEdit::Remove(name) => {
                    head.headers.remove(name);
                }
            }
        }
        self.head = Some(head);
    }
}

impl RequestHead {
    /// Path and query that the upstream is to be sent, before the service's prefix.
    pub fn upstream_target(&self) -> Option<&PathAndQuery> {
        self.target.as_ref().or_else(|| self.uri.path_and_query())
    }

    /// The client's address as text.
    pub fn client_text(&self) -> String {
        address_text(self.client)
    }
}

/// As `Display` has it, for a tenth of its price where it is asked for with every request.
pub(crate) fn address_text(address: IpAddr) -> String {
    let IpAddr::V4(address) = address else { return address.to_string() };
    let mut text = String::with_capacity("255.255.255.255".len());
    for octet in address.octets() {
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(itoa::Buffer::new().format(octet));
    }
    text
}

impl RequestFacts for RequestHead {
    fn method(&self) -> &Method {
        &self.method
    }
    fn host(&self) -> &str {
        self.authority.name()
    }
    fn path(&self) -> &str {
        self.uri.path()
    }
    fn query(&self) -> &str {
        self.uri.query().unwrap_or_default()
    }
    fn headers(&self) -> &HeaderMap {
        &self.headers
    }
    fn client_address(&self) -> IpAddr {
        self.client
    }
}

/// What the request's hooks took from limiters, numbered from 1.
#[derive(Default)]
pub(crate) struct Reservations {
    taken: SmallVec<[Taken; 1]>,
    /// Of all keys ever counted for this request.
    key_bytes: usize,
}

impl Reservations {
    pub(crate) fn have_room(&self, key_bytes: usize) -> bool {
        self.taken.len() < MOST_RESERVATIONS && self.key_bytes + key_bytes <= MOST_KEY_BYTES
    }

    /// The reservation's number.
    pub(crate) fn add(&mut self, taken: Taken, key_bytes: usize) -> u64 {
        self.key_bytes += key_bytes;
        self.taken.push(taken);
        self.taken.len() as u64
    }

    /// What was counted, once; `None` when the number was never given.
    pub(crate) fn settle(&mut self, number: u64) -> Option<Taken> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.taken.get_mut(index).map(std::mem::take)
    }
}

/// What the plugins of a chain tell each other. Few entries: a list is faster than a map.
#[derive(Default)]
pub(crate) struct Context {
    entries: SmallVec<[(Arc<str>, Entry); 4]>,
    bytes: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Value(Value),
    Number(i64),
}

impl Context {
    pub(crate) fn get(&self, key: &Arc<str>) -> Option<&Entry> {
        self.entries.iter().find(|(name, _)| same_key(name, key)).map(|(_, entry)| entry)
    }

    /// False when there is no room.
    pub(crate) fn set(&mut self, key: &Arc<str>, entry: Entry) -> bool {
        let size = entry.size();
        match self.entries.iter_mut().find(|(name, _)| same_key(name, key)) {
            Some((_, old)) => {
                if self.bytes - old.size() + size > CONTEXT_BYTES {
                    return false;
                }
                self.bytes = self.bytes - old.size() + size;
                *old = entry;
            }
            None => {
                if self.entries.len() >= CONTEXT_ENTRIES || self.bytes + size > CONTEXT_BYTES {
                    return false;
                }
                self.bytes += size;
                self.entries.push((Arc::clone(key), entry));
            }
        }
        true
    }
}

impl Entry {
    fn size(&self) -> usize {
        match self {
            Entry::Value(value) => value.as_bytes().len(),
            Entry::Number(_) => 8,
        }
    }
}

fn same_key(a: &Arc<str>, b: &Arc<str>) -> bool {
    Arc::ptr_eq(a, b) || a == b
}

/// Reservations of one request, and bytes of their keys.
pub(crate) const MOST_RESERVATIONS: usize = 64;
pub(crate) const MOST_KEY_BYTES: usize = 256 << 10;
const CONTEXT_ENTRIES: usize = 64;
const CONTEXT_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange() -> Box<Exchange> {
        let request = RequestHead {
            id: HeaderValue::from_static("id"),
            method: Method::GET,
            uri: Uri::from_static("/a"),
            version: Version::HTTP_11,
            headers: HeaderMap::new(),
            scheme: "http",
            authority: Authority::new(HeaderValue::from_static("host"), 4),
            client: [127, 0, 0, 1].into(),
            peer: ([127, 0, 0, 1], 1).into(),
            route: "route".into(),
            service: "service".into(),
            target: None,
            host_override: None,
            sent: false,
        };
        Exchange::new(request)
    }

    #[test]
    fn an_address_is_written_as_everywhere() {
        for address in ["0.0.0.0", "127.0.0.1", "10.20.30.255", "255.255.255.255", "::1", "2001:db8::7"] {
            assert_eq!(address_text(address.parse().unwrap()), address);
        }
    }

    #[test]
    fn an_exchange_that_is_cut_off_is_found_at_home() {
        let home = Arc::default();
        let mut cut_off = exchange();
        cut_off.live_in(&home);
        cut_off.go_home();
        assert_eq!(home.take().expect("it went home").request.uri, "/a");
        assert!(home.take().is_none());
    }

    #[test]
    fn a_request_holds_so_many_reservations_and_settles_each_once() {
        let mut reservations = Reservations::default();
        for number in 1..=MOST_RESERVATIONS as u64 {
            assert!(reservations.have_room(1));
            assert_eq!(reservations.add(Taken::default(), 1), number);
        }
        assert!(!reservations.have_room(0), "settling makes no room: numbers are never used again");
        assert!(reservations.settle(1).is_some() && reservations.settle(0).is_none());
        assert!(reservations.settle(MOST_RESERVATIONS as u64 + 1).is_none());
        assert!(!Reservations::default().have_room(MOST_KEY_BYTES + 1));
    }
}
