use crate::headers::Side;
use crate::host::request::{self as host, Property};
use crate::host::response;
use crate::plugin::Prepared;
use crate::value::raw;
use crate::{Action, Edit, Field, Headers, Value};

/// The current request. Changes take effect until its head went to the upstream.
#[derive(Debug)]
pub struct Request(());

impl Request {
    pub(crate) fn current() -> Self {
        Self(())
    }

    pub fn headers(&mut self) -> Headers<'_> {
        Headers::of(Side::Request)
    }

    /// Fields that are put on whatever response is sent in the end: the upstream's, a plugin's or
    /// the gateway's own.
    pub fn response_headers(&mut self) -> Headers<'_> {
        Headers::of(Side::Response)
    }

    /// First value of a header field. Short for `headers().get(name)`.
    pub fn header(&self, name: impl crate::Name) -> Option<Value> {
        Headers::of(Side::Request).get(name)
    }

    /// Answers the request with this status (200 to 599, others trap) and body.
    pub fn answer(&mut self, status: u16, body: impl AsRef<[u8]>) -> Action {
        response::answer(status, body.as_ref());
        Action::Respond(Prepared(()))
    }

    /// Answers the request with an error in the gateway's own format: JSON or text, as the client
    /// accepts.
    pub fn refuse(&mut self, status: u16, message: &str) -> Action {
        response::refuse(status, message);
        Action::Respond(Prepared(()))
    }

    pub fn id(&self) -> Option<Value> {
        property(Property::Id)
    }

    pub fn method(&self) -> Option<Value> {
        property(Property::Method)
    }

    pub fn scheme(&self) -> Option<Value> {
        property(Property::Scheme)
    }

    /// Host as the client asked for it, with the port when it gave one.
    pub fn host(&self) -> Option<Value> {
        property(Property::Host)
    }

    /// Normalised path, without the query.
    pub fn path(&self) -> Option<Value> {
        property(Property::Path)
    }

    /// Query without the question mark.
    pub fn query(&self) -> Option<Value> {
        property(Property::Query)
    }

    /// Address of the client: the peer, or what a trusted proxy said of it.
    pub fn client_address(&self) -> Option<Value> {
        property(Property::ClientAddress)
    }

    /// Address of the connected peer.
    pub fn peer_address(&self) -> Option<Value> {
        property(Property::PeerAddress)
    }

    /// Name of the matched route.
    pub fn route(&self) -> Option<Value> {
        property(Property::Route)
    }

    /// Name of the route's service.
    pub fn service(&self) -> Option<Value> {
        property(Property::Service)
    }

    pub fn consumer_id(&self) -> Option<Value> {
        property(Property::ConsumerId)
    }

    pub fn consumer_name(&self) -> Option<Value> {
        property(Property::ConsumerName)
    }

    pub fn consumer_custom_id(&self) -> Option<Value> {
        property(Property::ConsumerCustomId)
    }

    pub fn credential_id(&self) -> Option<Value> {
        property(Property::CredentialId)
    }

    /// First query parameter of that name, percent-decoded. [`crate::query::pairs`] reads all.
    pub fn query_parameter(&self, name: &str) -> Option<Value> {
        Value::from_raw(host::query_parameter(name))
    }

    /// Removes all query parameters of that name from what the upstream is sent.
    pub fn remove_query_parameter(&mut self, name: &str) -> Edit {
        host::remove_query_parameter(name).into()
    }

    pub fn set_method<'v>(&mut self, method: impl Into<Field<'v>>) -> Edit {
        host::set_method(method.into().hold().raw()).into()
    }

    /// Path sent to the upstream.
    pub fn set_path<'v>(&mut self, path: impl Into<Field<'v>>) -> Edit {
        host::set_path(path.into().hold().raw()).into()
    }

    /// Query sent to the upstream; `None` removes it.
    pub fn set_query(&mut self, query: Option<Value>) -> Edit {
        host::set_query(raw(query)).into()
    }
}

fn property(which: Property) -> Option<Value> {
    Value::from_raw(host::get(which))
}
