//! The form of the API's failures: `{"error": {"code", "message", "details"}}`.

use super::{
    error::{ApiError, ErrorCode},
    schema::ApiSchema,
};
use crate::domain;
use poem::{
    Response,
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
};
use serde_json::{Map, Value, json};

pub fn response(error: &ApiError) -> Response {
    let mut response =
        Response::builder().status(error.code.status()).content_type("application/json").body(json(error).to_string());
    let headers = response.headers_mut();
    if error.code.status() == StatusCode::UNAUTHORIZED {
        // RFC 6750, section 3.1: "invalid_token" is only for callers who sent a token.
        let challenge = if error.code == ErrorCode::InvalidToken { "Bearer error=\"invalid_token\"" } else { "Bearer" };
        // First, because some proxies pass on one challenge only.
        if error.offers_basic {
            let basic = HeaderValue::from_static("Basic realm=\"app token\", charset=\"UTF-8\"");
            headers.append(header::WWW_AUTHENTICATE, basic);
        }
        headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if let Some(location) = error.location.as_ref().and_then(|location| HeaderValue::from_str(location).ok()) {
        headers.insert(header::LOCATION, location);
    }
    if let Some(seconds) = error.retry_after_seconds() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

pub fn json(error: &ApiError) -> Value {
    let mut details: Map<String, Value> =
        error.faults.iter().map(|(field, fault)| (field.to_owned(), fault.into())).collect();
    if let Some(seconds) = error.retry_after_seconds() {
        details.insert("retry_after_seconds".into(), seconds.into());
    }
    json!({"error": {"code": error.code.as_str(), "message": error.message, "details": details}})
}

/// Every operation documents the envelope once, as its default; `openapi` adds the codes of each operation.
impl ApiResponse for ApiError {
    fn meta() -> MetaResponses {
        let content = vec![MetaMediaType { content_type: "application/json", schema: Self::schema() }];
        let description = "What went wrong";
        let response = MetaResponse { description, status: None, status_range: None, content, headers: vec![] };
        MetaResponses { responses: vec![response] }
    }

    fn register(registry: &mut Registry) {
        ErrorCode::register(registry);
        for (name, schema) in [(DETAIL, detail()), (BODY, body()), (RESPONSE, envelope())] {
            registry.schemas.insert(name.into(), schema);
        }
    }
}

impl ApiSchema for ApiError {
    fn schema() -> MetaSchemaRef {
        reference(RESPONSE)
    }
}

/// The names of the schemas. `Error` alone is a type of many languages, and would collide in generated clients.
const RESPONSE: &str = "ErrorResponse";
const BODY: &str = "ErrorBody";
const DETAIL: &str = "ErrorDetail";

fn inline(schema: MetaSchema) -> MetaSchemaRef {
    MetaSchemaRef::Inline(Box::new(schema))
}

fn reference(name: &str) -> MetaSchemaRef {
    MetaSchemaRef::Reference(name.into())
}

/// `{"error": {"code", "message", "details"}}`.
fn envelope() -> MetaSchema {
    MetaSchema {
        description: Some("Every failure has this form. It never repeats anything that the caller sent"),
        required: vec!["error"],
        properties: vec![("error", reference(BODY))],
        ..MetaSchema::new("object")
    }
}

fn body() -> MetaSchema {
    let described = |schema: MetaSchema, text| inline(MetaSchema { description: Some(text), ..schema });
    let details = MetaSchema {
        additional_properties: Some(Box::new(reference(DETAIL))),
        max_properties: Some(domain::Faults::MAX_LISTED),
        ..MetaSchema::new("object")
    };
    MetaSchema {
        description: Some("What went wrong"),
        required: vec!["code", "message", "details"],
        properties: vec![
            ("code", ErrorCode::schema()),
            ("message", described(MetaSchema::new("string"), "For people; may change")),
            (
                "details",
                described(
                    details,
                    "For `validation_failed`: each invalid field and its fault, at most twenty. For `429` and `overloaded`: `retry_after_seconds`. Otherwise empty",
                ),
            ),
        ],
        ..MetaSchema::new("object")
    }
}

fn detail() -> MetaSchema {
    MetaSchema {
        description: Some("The fault of a field, or a number of seconds"),
        one_of: vec![inline(MetaSchema::new("string")), inline(MetaSchema::new("integer"))],
        ..MetaSchema::ANY
    }
}
