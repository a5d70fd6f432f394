use crate::Origin;

/// A request: what a client sends, or what the upstream was sent in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestRequest {
    pub method: String,
    pub scheme: String,
    pub host: String,
    pub path: String,
    pub query: Option<String>,
    pub client_address: String,
    pub route: String,
    pub service: String,
    pub(crate) headers: Fields,
    pub(crate) body: Vec<Vec<u8>>,
    pub(crate) consumer: Option<String>,
}

impl TestRequest {
    /// A `GET` of a path with or without a query, from 192.0.2.1.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub fn post(target: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", target).with_body_pieces([body.into()])
    }

    pub fn new(method: &str, target: &str) -> Self {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        Self {
            method: method.to_owned(),
            scheme: "http".to_owned(),
            host: "gateway.test".to_owned(),
            path: path.to_owned(),
            query: query.map(str::to_owned),
            client_address: "192.0.2.1".to_owned(),
            route: "route".to_owned(),
            service: "service".to_owned(),
            headers: Fields::default(),
            body: Vec::new(),
            consumer: None,
        }
    }

    /// Adds a field.
    pub fn with_header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.append(name, value.as_ref());
        self
    }

    /// A body that arrives in these pieces.
    pub fn with_body_pieces<P: Into<Vec<u8>>>(mut self, pieces: impl IntoIterator<Item = P>) -> Self {
        self.body = pieces.into_iter().map(Into::into).collect();
        self
    }

    pub fn from_address(mut self, client: &str) -> Self {
        self.client_address = client.to_owned();
        self
    }

    /// As if an earlier plugin had set this consumer of [`Gateway::add_consumer`](super::Gateway::add_consumer).
    pub fn authenticated_as(mut self, consumer: &str) -> Self {
        self.consumer = Some(consumer.to_owned());
        self
    }

    /// First value of the field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.text(name)
    }

    pub fn body(&self) -> Vec<u8> {
        self.body.concat()
    }
}

/// A response: what the upstream sends, or what the client was sent in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestResponse {
    pub status: u16,
    pub origin: Origin,
    pub(crate) headers: Fields,
    pub(crate) body: Vec<Vec<u8>>,
}

impl TestResponse {
    pub fn new(status: u16) -> Self {
        Self { status, origin: Origin::Upstream, headers: Fields::default(), body: Vec::new() }
    }

    /// Adds a field.
    pub fn with_header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.append(name, value.as_ref());
        self
    }

    pub fn with_body(self, body: impl Into<Vec<u8>>) -> Self {
        self.with_body_pieces([body.into()])
    }

    /// A body that arrives in these pieces.
    pub fn with_body_pieces<P: Into<Vec<u8>>>(mut self, pieces: impl IntoIterator<Item = P>) -> Self {
        self.body = pieces.into_iter().map(Into::into).collect();
        self
    }

    /// First value of the field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.text(name)
    }

    pub fn body(&self) -> Vec<u8> {
        self.body.concat()
    }

    /// What [`Request::refuse`](crate::Request::refuse) told the client.
    pub fn message(&self) -> Option<String> {
        let body: serde_json::Value = serde_json::from_slice(&self.body()).ok()?;
        body.get("message")?.as_str().map(str::to_owned)
    }

    /// An error in the gateway's own format.
    pub(crate) fn error(origin: Origin, status: u16, message: &str) -> Self {
        let body = serde_json::json!({ "message": message }).to_string();
        let response = Self::new(status).with_header("content-type", "application/json").with_body(body);
        Self { origin, ..response }
    }
}

/// Header fields in order, names in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields(pub Vec<(String, Vec<u8>)>);

impl Fields {
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Vec<u8>> {
        self.0.iter().filter(move |(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub fn append(&mut self, name: &str, value: &[u8]) {
        self.0.push((name.to_ascii_lowercase(), value.to_vec()));
    }

    pub fn set(&mut self, name: &str, value: &[u8]) {
        self.remove(name);
        self.append(name, value);
    }

    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(found, _)| !found.eq_ignore_ascii_case(name));
    }

    fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(found, _)| found.eq_ignore_ascii_case(name))?;
        Some(std::str::from_utf8(value).unwrap_or("(not UTF-8)"))
    }
}
