//! The spec: generated from the handlers, and completed with what the generator can't express, above all the error
//! responses of each operation. Needs no database and no settings, so it is the same wherever it is printed.

use super::{PREFIX, Resources, TAGS, Tag, failures};
use crate::http::wire::{
    envelope,
    error::{ApiError, ErrorCode},
    query,
    schema::CLOSED,
    upload,
};
use poem::{endpoint::BoxEndpoint, http::Method};
use poem_openapi::{
    ContactObject, LicenseObject, OpenApi, OpenApiService,
    registry::{MetaApi, MetaTag, Registry},
};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};

const TITLE: &str = "usher";
const DESCRIPTION: &str = "Accounts and sessions for self-hosted apps.

Requests and answers are JSON. A failed request is answered with an `ErrorResponse`. Unknown and repeated fields and \
query parameters are refused. All invalid ones are reported at once. Every answer has an `X-Request-Id`; the log and the audit log contain the same id. Every answer \
also has `Cache-Control: no-store` and `X-Content-Type-Options: nosniff`.

Sign in with `POST /auth/login`, and send the token as `Authorization: Bearer <token>` from then on.";

/// The operations without anything to run them on.
struct SpecSource;

impl OpenApi for SpecSource {
    fn meta() -> Vec<MetaApi> {
        let mut resources = Resources::meta();
        for (resource, tag) in resources.iter_mut().zip(TAGS) {
            let operations = resource.paths.iter_mut().flat_map(|path| &mut path.operations);
            operations.for_each(|operation| operation.tags.push(tag.name));
        }
        resources
    }

    fn register(registry: &mut Registry) {
        Resources::register(registry);
        for Tag { name, description } in TAGS {
            registry.create_tag(MetaTag { name, description: Some(description), external_docs: None });
        }
    }

    fn add_routes(self, _routes: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {}
}

/// The OpenAPI document, as it is served, printed and committed.
pub fn spec() -> String {
    let service = OpenApiService::new(SpecSource, TITLE, env!("CARGO_PKG_VERSION"))
        .description(DESCRIPTION)
        .contact(ContactObject::new().name("The operator of this server"))
        .license(LicenseObject::new("MIT").url("https://opensource.org/license/mit"))
        .server(PREFIX);
    let mut document: Value = serde_json::from_str(&service.spec()).expect("the generator writes JSON");
    tidy(&mut document);
    expand_queries(&mut document);
    describe_parameters(&mut document);
    let components = document["components"]["schemas"].clone();
    for operation in operations(&mut document) {
        complete(operation, &components);
    }
    let mut text = serde_json::to_string_pretty(&document).expect("a JSON value can be written");
    text.push('\n');
    text
}

/// The page that shows the spec, with everything it needs inside.
pub fn page() -> String {
    let bare = OpenApiService::new((), TITLE, "");
    bare.swagger_ui_html().replacen(&bare.spec(), &spec_for_page(), 1)
}

/// The spec without the choice of no token where one may be sent: the page would show a closed padlock there, as if
/// somebody had signed in.
fn spec_for_page() -> String {
    let mut document: Value = serde_json::from_str(&spec()).expect("the spec is JSON");
    for operation in operations(&mut document) {
        let security = operation["security"].as_array_mut().expect("every operation has security");
        security.retain(|choice| *choice != json!({}));
    }
    serde_json::to_string_pretty(&document).expect("a JSON value can be written")
}

fn operations(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let paths = document["paths"].as_object_mut().expect("a document has paths");
    paths.values_mut().filter_map(Value::as_object_mut).flat_map(|path| path.values_mut())
}

/// The headers of responses, as they are usually spelt.
const HEADERS: [&str; 8] = [
    "ETag",
    "Location",
    "Remote-User",
    "Remote-User-Id",
    "Remote-Email",
    "Remote-Role",
    "Remote-Name",
    "Remote-Groups",
];

/// Adds what the generator can't express: objects without other members, whole numbers, and the usual spelling of
/// header names.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if members.get("additionalProperties").is_some_and(|mark| mark["title"] == CLOSED) {
                members.insert("additionalProperties".into(), false.into());
            }
            for usual in HEADERS {
                if let Some(header) = members.shift_remove(&usual.to_ascii_uppercase()) {
                    members.insert(usual.into(), header);
                }
            }
            members.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Number(number) => {
            if let Some(whole) = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0) {
                #[allow(clippy::cast_possible_truncation, reason = "limits in the spec are small")]
                let whole = whole as i64;
                *value = whole.into();
            }
        }
        _ => {}
    }
}

/// Moves what a parameter's schema says about the parameter to the parameter, where readers and tools look for it.
fn describe_parameters(document: &mut Value) {
    for operation in operations(document) {
        let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
        for parameter in parameters.into_iter().flatten() {
            let schema = parameter["schema"].as_object_mut().expect("a parameter has a schema");
            let description = schema.shift_remove("description");
            if let Some([reference]) = schema.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
                let reference = reference.clone();
                parameter["schema"] = reference;
            }
            if let Some(description) = description {
                parameter["description"] = description;
            }
        }
    }
}

/// Writes each member of a `query!` as a parameter of its own: the generator knows one parameter for each extractor.
fn expand_queries(document: &mut Value) {
    let schemas = document["components"]["schemas"].clone();
    let mut spread = Vec::new();
    for operation in operations(document) {
        let Some(parameters) = operation.get_mut("parameters").and_then(Value::as_array_mut) else { continue };
        let Some(at) = parameters.iter().position(|parameter| parameter["name"] == query::PARAMETER) else { continue };
        let reference = parameters.remove(at)["schema"]["$ref"].take();
        let name = reference.as_str().and_then(|text| text.rsplit('/').next()).unwrap_or_default().to_owned();
        for (member, schema) in schemas[&name]["properties"].as_object().into_iter().flatten() {
            parameters.push(json!({"name": member, "in": "query", "required": false, "schema": schema}));
        }
        spread.push(name);
    }
    let schemas = document["components"]["schemas"].as_object_mut().expect("a document has schemas");
    schemas.retain(|name, _| !spread.contains(name));
}

/// Adds the error responses, the headers of every response, and examples.
fn complete(operation: &mut Value, components: &Value) {
    let mut by_status: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
    for code in codes(operation) {
        by_status.entry(code.status().as_u16()).or_default().push(code);
    }
    mark_optional_security(operation);
    let add_example = |content: &mut Value| {
        let Some(media) = content.get_mut("application/json") else {
            content.as_object_mut().into_iter().flat_map(|media| media.values_mut()).for_each(|media| {
                media["example"] = upload::EXAMPLE.into();
            });
            return;
        };
        let name = media["schema"]["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
        if let Some(example) = name.and_then(|name| components[name].get("example")) {
            media["example"] = example.clone();
        }
    };
    if let Some(content) = operation.get_mut("requestBody").and_then(|body| body.get_mut("content")) {
        add_example(content);
    }
    let responses = operation["responses"].as_object_mut().expect("an operation has responses");
    responses.remove("default");
    for response in responses.values_mut() {
        response.get_mut("content").into_iter().for_each(add_example);
        add_headers(response, [request_id_header()]);
    }
    for (status, codes) in by_status {
        responses.insert(status.to_string(), error_response(status, &codes));
    }
}

/// Operations that do the same for everybody. A token that is sent with them must be valid, but opens nothing.
const WITHOUT_TOKEN: [&str; 3] = ["login", "resetPassword", "getService"];

/// Marks the operations that need no token. The choice of none comes first, because tools offer the first one.
fn mark_optional_security(operation: &mut Value) {
    let without = operation["operationId"].as_str().is_some_and(|id| WITHOUT_TOKEN.contains(&id));
    let security = operation["security"].as_array_mut().expect("every operation names the callers that it takes");
    if without {
        security.clear();
    }
    security.sort_by_key(|choice| *choice != json!({}));
}

/// The codes that an operation can answer with: those that follow from its form, and its own.
fn codes(operation: &Value) -> Vec<ErrorCode> {
    use ErrorCode as Code;
    let mut codes = vec![
        Code::MalformedRequest,
        Code::ValidationFailed,
        Code::InternalError,
        Code::Overloaded,
        Code::StorageUnavailable,
    ];
    let security = operation["security"].as_array().cloned().unwrap_or_default();
    if !security.is_empty() {
        codes.push(Code::InvalidToken);
    }
    if !security.is_empty() && !security.contains(&json!({})) {
        codes.insert(0, Code::AuthenticationRequired);
    }
    if operation.get("requestBody").is_some() {
        codes.extend([Code::RequestTimeout, Code::PayloadTooLarge, Code::UnsupportedMediaType]);
    }
    let id = operation["operationId"].as_str().expect("every operation has an operationId");
    let own = failures().find(|(name, _)| *name == id);
    codes.extend(own.expect("every operation lists its failures").1);
    codes
}

fn error_response(status: u16, codes: &[ErrorCode]) -> Value {
    let lines: Vec<String> = codes.iter().map(|code| format!("`{}`: {}", code.as_str(), code.message())).collect();
    let examples: Map<String, Value> =
        codes.iter().map(|code| (code.as_str().to_owned(), json!({"value": example(*code)}))).collect();
    let content =
        json!({"application/json": {"schema": {"$ref": "#/components/schemas/ErrorResponse"}, "examples": examples}});
    let mut response = json!({"description": lines.join("\n\n"), "headers": {}, "content": content});
    let header = |name: &str, description: &str, kind: &str| {
        (name.to_owned(), json!({"description": description, "schema": {"type": kind}}))
    };
    add_headers(&mut response, [request_id_header()]);
    if status == 401 {
        add_headers(
            &mut response,
            [header(
                "WWW-Authenticate",
                "`Bearer`, with `error=\"invalid_token\"` when a token was sent; for native clients of an app, also `Basic`",
                "string",
            )],
        );
    }
    if matches!(status, 429 | 503) {
        add_headers(&mut response, [header("Retry-After", "Seconds to wait, if known", "integer")]);
    }
    response
}

fn example(code: ErrorCode) -> Value {
    if code != ErrorCode::ValidationFailed {
        return envelope::json(&ApiError::new(code));
    }
    let mut faults = crate::domain::Faults::default();
    faults.add("email", "must be an e-mail address such as name@example.com");
    faults.add("password", "must have at least 8 characters");
    envelope::json(&ApiError::invalid(faults))
}

fn request_id_header() -> (String, Value) {
    let description = "The id of this request in the server's logs";
    ("X-Request-Id".to_owned(), json!({"description": description, "required": true, "schema": {"type": "string"}}))
}

fn add_headers(response: &mut Value, headers: impl IntoIterator<Item = (String, Value)>) {
    if response.get("headers").is_none() {
        response["headers"] = json!({});
    }
    response["headers"].as_object_mut().expect("headers are an object").extend(headers);
}
