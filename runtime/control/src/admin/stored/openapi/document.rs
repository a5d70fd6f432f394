//! From the list of endpoints to a document.

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, Paths};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Content, HttpMethod, InfoBuilder, OpenApi, OpenApiBuilder, Ref, Required, Response, ResponseBuilder, ServerBuilder,
};

use super::endpoints::{Endpoint, endpoints};
use super::schemas::components;
use crate::admin::stored::body::{Also, WASM};
use crate::admin::stored::parameters::LARGEST_SIZE;

/// `server`: in front of all paths; may be empty.
pub(in crate::admin::stored) fn document(server: String) -> OpenApi {
    let mut paths = Paths::new();
    for endpoint in endpoints() {
        paths.add_path_operation(&endpoint.path, vec![method(&endpoint.method)], operation(&endpoint));
    }
    let token = SecurityScheme::Http(
        HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A token of this API: `tgt_…`")).build(),
    );
    let server = if server.is_empty() { "/".to_owned() } else { server };
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Tollgate admin API")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some("Configures a cluster of gateways, from any of its nodes."))
                .build(),
        )
        .servers(Some([ServerBuilder::new().url(server).build()]))
        .paths(paths)
        .components(Some(components().security_scheme(TOKEN, token).build()))
        .security(Some([SecurityRequirement::new(TOKEN, NO_SCOPES)]))
        .build()
}

const TOKEN: &str = "token";
const NO_SCOPES: [&str; 0] = [];

/// The type is no `Clone`.
fn method(method: &HttpMethod) -> HttpMethod {
    match method {
        HttpMethod::Get => HttpMethod::Get,
        HttpMethod::Post => HttpMethod::Post,
        HttpMethod::Put => HttpMethod::Put,
        HttpMethod::Patch => HttpMethod::Patch,
        _ => HttpMethod::Delete,
    }
}

fn operation(endpoint: &Endpoint) -> Operation {
    let mut operation = OperationBuilder::new()
        .tag(endpoint.tag)
        .summary(Some(endpoint.summary.as_str()))
        .operation_id(Some(operation_id(endpoint)))
        .request_body(endpoint.body.map(|(schema, also)| request_body(schema, also)));
    for segment in endpoint.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}')) {
        operation = operation.parameter(in_path(segment));
    }
    for name in endpoint.query {
        operation = operation.parameter(in_query(name));
    }
    if endpoint.is_conditional {
        for name in ["If-Match", "If-None-Match"].iter().skip(usize::from(!endpoint.is_write)) {
            operation = operation.parameter(parameter(name, ParameterIn::Header, text().build()));
        }
    }
    for (status, schema) in &endpoint.answers {
        operation = operation.response(status.to_string(), answer(endpoint, *status, *schema));
    }
    let made = endpoint.answers.iter().find(|(status, _)| *status == 201);
    if let Some((_, schema)) = made.filter(|_| !endpoint.answers.iter().any(|(status, _)| *status == 200)) {
        // Of a dry run.
        operation = operation.response("200", answer(endpoint, 200, *schema));
    }
    for (status, description) in refusals(endpoint) {
        operation = operation.response(status.to_string(), refused(description));
    }
    if endpoint.is_write {
        let behind = answer(endpoint, 202, Some("Written"));
        operation = operation.response("202", behind);
    }
    if endpoint.is_conditional && !endpoint.is_write && endpoint.tag != "plugins" {
        operation = operation.response("304", Response::new("It is as If-None-Match says"));
    }
    operation.build()
}

/// `get_services_name`.
fn operation_id(endpoint: &Endpoint) -> String {
    let verb = match endpoint.method {
        HttpMethod::Get => "get",
        HttpMethod::Post => "post",
        HttpMethod::Put => "put",
        HttpMethod::Patch => "patch",
        _ => "delete",
    };
    let words = endpoint.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.fold(verb.to_owned(), |id, word| id + "_" + word)
}

fn answer(endpoint: &Endpoint, status: u16, schema: Option<&str>) -> Response {
    let description = match status {
        201 => "Made",
        202 => "Done, but not on all nodes within the time: `behind` lists those that are late",
        204 => "Done",
        _ if endpoint.is_write => "Done, or what would be done",
        _ => "As asked for",
    };
    let mut response = ResponseBuilder::new().description(description);
    if let Some(schema) = schema {
        let content = || Content::new(Some(Ref::from_schema_name(schema)));
        response = response.content("application/json", content());
        if endpoint.path == "/config" && endpoint.method == HttpMethod::Get {
            response = response.content("application/toml", Content::new(Some(text().build())));
        }
    }
    if endpoint.is_write {
        let header = |schema: ObjectBuilder, description: &str| {
            HeaderBuilder::new().schema(schema.build()).description(Some(description)).build()
        };
        response = response
            .header("X-Tollgate-Revision", header(number(), "The revision that the write made"))
            .header("X-Tollgate-Applied", header(text(), "`false` where this node does not serve by it yet"));
        if status == 201 {
            response = response.header("Location", header(text(), "Where it is"));
        }
    }
    response.build()
}

/// Everything that can be wrong, by what the endpoint does.
fn refusals(endpoint: &Endpoint) -> Vec<(u16, &'static str)> {
    let mut refusals = vec![
        (400, "What was sent is wrong: all problems"),
        (401, "A token is missing or not known"),
        (403, "The token does not allow it, or a page of another site sent it"),
        (503, "The node is starting, or the database can't be asked; see Retry-After"),
    ];
    if endpoint.path.contains('{') {
        refusals.push((404, "There is no such thing"));
    }
    if endpoint.body.is_some() {
        refusals.push((413, "The body is larger than 32 MiB"));
        refusals.push((415, "The body is of a type that is not taken here"));
    }
    if endpoint.is_write || endpoint.path == "/config/diff" || endpoint.path.ends_with("/targets") {
        refusals.push((409, "Something else is in the way"));
    }
    if endpoint.is_conditional && endpoint.is_write {
        refusals.push((412, "It is not as If-Match or If-None-Match says"));
    }
    refusals
}

fn refused(description: &str) -> Response {
    let content = Content::new(Some(Ref::from_schema_name("Error")));
    ResponseBuilder::new().description(description).content("application/json", content).build()
}

fn request_body(schema: &str, also: Also) -> RequestBody {
    let content = || Content::new(Some(Ref::from_schema_name(schema)));
    let body = RequestBodyBuilder::new().required(Some(Required::True));
    if also == Also::Wasm {
        return body.content(WASM, Content::new(Some(text().format(Some(BINARY)).build()))).build();
    }
    let body = body.content("application/json", content());
    match also {
        Also::Form => body.content("application/x-www-form-urlencoded", content()),
        Also::Patch => body.content("application/merge-patch+json", content()),
        Also::Toml => body.content("application/toml", Content::new(Some(text().build()))),
        Also::Wasm => body,
    }
    .build()
}

fn in_path(name: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(text().min_length(Some(1)).build()))
        .build()
}

fn in_query(name: &str) -> Parameter {
    let flag = || ObjectBuilder::new().schema_type(Type::Boolean);
    let words = |words: &'static [&'static str]| text().enum_values(Some(words.iter().copied()));
    let schema = match name {
        "size" => number().minimum(Some(1)).maximum(Some(LARGEST_SIZE)),
        "dry_run" | "prune" => flag(),
        "wait" => words(&["node", "cluster"]),
        "scope" => words(&["node", "cluster"]),
        "format" => words(&["json", "toml"]),
        "timeout" => text().description(Some("Up to a minute, as in `5s`")),
        "tags" => text().description(Some("All of these, with commas between")),
        "method" => text().description(Some("Of the request that is asked about, `GET` by default")),
        "url" => text().description(Some("Its URL, or its path alone")),
        "header" => text().description(Some("One of its headers, as `Name: value`; may be there several times")),
        "address" => text().description(Some("Of the client")),
        "consumer" => text().description(Some("Who is calling")),
        _ => text().description(Some("The last of the page before")),
    };
    parameter(name, ParameterIn::Query, schema.build())
}

fn parameter(name: &str, place: ParameterIn, schema: utoipa::openapi::schema::Object) -> Parameter {
    ParameterBuilder::new().name(name).parameter_in(place).required(Required::False).schema(Some(schema)).build()
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn number() -> ObjectBuilder {
    let format = SchemaFormat::KnownFormat(KnownFormat::Int64);
    ObjectBuilder::new().schema_type(Type::Integer).format(Some(format))
}

const BINARY: SchemaFormat = SchemaFormat::KnownFormat(KnownFormat::Binary);
