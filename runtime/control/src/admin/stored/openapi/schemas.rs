//! What is sent and shown, as JSON Schema. Nothing is read by these types: the model's decoding says what is right, and
//! a test that both know the same keys.

#[expect(dead_code, reason = "only their schemas are used")]
mod entities;
#[expect(dead_code, reason = "only their schemas are used")]
mod shown;

use utoipa::ToSchema;
use utoipa::openapi::schema::{AdditionalProperties, Object, ObjectBuilder, Type};
use utoipa::openapi::{ComponentsBuilder, Ref, RefOr, Schema};

/// Every schema that endpoints name.
pub(super) fn components() -> ComponentsBuilder {
    let sent = sent();
    let stored = STORED.iter().filter_map(|(name, of)| {
        let (_, schema) = sent.iter().find(|(sent, _)| sent == of)?;
        Some(((*name).to_owned(), stored(schema, *of == "Plugin")))
    });
    let lists = LISTS.iter().map(|(name, item)| ((*name).to_owned(), list(item)));
    let all: Vec<(String, RefOr<Schema>)> = stored.chain(lists).chain(shown::schemas()).collect();
    ComponentsBuilder::new().schemas_from_iter(sent).schemas_from_iter(all)
}

/// By their names.
pub(super) fn sent() -> Vec<(String, RefOr<Schema>)> {
    let mut schemas = Vec::new();
    macro_rules! add {
        ($($schema:ty),*) => {$(
            schemas.push((<$schema>::name().into_owned(), <$schema as utoipa::PartialSchema>::schema()));
            <$schema>::schemas(&mut schemas);
        )*};
    }
    use entities::*;
    add!(
        Service,
        Upstream,
        Route,
        NewRoute,
        Plugin,
        Consumer,
        Certificate,
        Sni,
        Chain,
        Target,
        Config,
        NewKey,
        NewToken
    );
    schemas.sort_by(|(a, _), (b, _)| a.cmp(b));
    schemas.dedup_by(|(a, _), (b, _)| a == b);
    schemas
}

const STORED: [(&str, &str); 8] = [
    ("StoredService", "Service"),
    ("StoredUpstream", "Upstream"),
    ("StoredRoute", "Route"),
    ("StoredPlugin", "Plugin"),
    ("StoredConsumer", "Consumer"),
    ("StoredCertificate", "Certificate"),
    ("StoredSni", "Sni"),
    ("StoredChain", "Chain"),
];

const LISTS: [(&str, &str); 13] = [
    ("Services", "StoredService"),
    ("Upstreams", "StoredUpstream"),
    ("Routes", "StoredRoute"),
    ("Plugins", "StoredPlugin"),
    ("Consumers", "StoredConsumer"),
    ("Certificates", "StoredCertificate"),
    ("Snis", "StoredSni"),
    ("Targets", "Target"),
    ("Keys", "Key"),
    ("Tokens", "Token"),
    ("Revisions", "Revision"),
    ("Audit", "Audited"),
    ("Objects", "Object"),
];

/// What is sent, with what the store adds.
fn stored(sent: &RefOr<Schema>, is_plugin: bool) -> RefOr<Schema> {
    let RefOr::T(Schema::Object(sent)) = sent else { return sent.clone() };
    let mut stored: Object = sent.clone();
    stored.additional_properties = None;
    stored.required.clear();
    for name in ["id", "created_at", "updated_at"] {
        stored.properties.insert(name.to_owned(), of_type(Type::String));
    }
    stored.properties.insert("revision".to_owned(), of_type(Type::Integer));
    if is_plugin {
        stored.properties.insert("used_by".to_owned(), RefOr::T(Schema::Array(of_type(Type::String).into_array())));
    }
    stored.into()
}

trait IntoArray {
    fn into_array(self) -> utoipa::openapi::schema::Array;
}

impl IntoArray for RefOr<Schema> {
    fn into_array(self) -> utoipa::openapi::schema::Array {
        utoipa::openapi::schema::Array::new(self)
    }
}

fn list(item: &str) -> RefOr<Schema> {
    let next =
        ObjectBuilder::new().schema_type(utoipa::openapi::schema::SchemaType::from_iter([Type::String, Type::Null]));
    ObjectBuilder::new()
        .property("data", utoipa::openapi::schema::Array::new(Ref::from_schema_name(item)))
        .property("next", next.description(Some("The following page")))
        .required("data")
        .required("next")
        .into()
}

fn of_type(schema_type: Type) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(schema_type).into()
}

/// Anything with names.
fn free_form() -> RefOr<Schema> {
    let anything = AdditionalProperties::FreeForm(true);
    ObjectBuilder::new().additional_properties(Some(anything)).into()
}
