//! CORS: which web apps on other origins may read the answers (fetch.spec.whatwg.org, "CORS protocol").
//!
//! Origins are compared exactly, without patterns. `Access-Control-Allow-Credentials` is never sent: there are no cookies,
//! and apps send the token in a header. CORS decides what a browser shows to scripts, not who may do what. So a page on
//! another origin gets the ordinary answer, and its browser does not let it read it.

use crate::domain::Origin;
use poem::{
    Request, Response,
    http::{HeaderValue, Method, StatusCode, header},
};

const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static("Authorization, Content-Type, If-Match");
const EXPOSED_HEADERS: HeaderValue =
    HeaderValue::from_static("ETag, Location, Retry-After, X-Request-Id, WWW-Authenticate");
/// For how many seconds a browser may cache a preflight.
const MAX_AGE: HeaderValue = HeaderValue::from_static("3600");

/// The origins that may read answers.
#[derive(Debug)]
pub struct Cors(Vec<HeaderValue>);

/// The grant for a request from an allowed origin.
#[derive(Debug)]
pub struct Grant {
    origin: HeaderValue,
    /// Whether the request is a preflight.
    preflight: bool,
}

impl Cors {
    pub fn new(origins: &[Origin]) -> Self {
        let value = |origin: &Origin| HeaderValue::from_str(origin.as_str()).expect("an origin is plain ASCII");
        Self(origins.iter().map(value).collect())
    }

    /// Returns the grant of a request; `None` if it has no origin, an unknown one, or more than one.
    pub fn grant(&self, request: &Request) -> Option<Grant> {
        let mut sent = request.headers().get_all(header::ORIGIN).iter();
        let (Some(origin), None) = (sent.next(), sent.next()) else { return None };
        let origin = self.0.iter().find(|granted| *granted == origin)?.clone();
        let preflight = request.method() == Method::OPTIONS
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        Some(Grant { origin, preflight })
    }
}

impl Grant {
    /// The answer to a preflight for a path with these methods; `None` if the request is not a preflight.
    pub fn to_preflight(grant: Option<&Self>, methods: &HeaderValue) -> Option<Response> {
        grant.filter(|grant| grant.preflight)?;
        let response = Response::builder()
            .status(StatusCode::NO_CONTENT)
            .header(header::ACCESS_CONTROL_ALLOW_METHODS, methods)
            .header(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS)
            .header(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        Some(response.finish())
    }

    /// Adds `Vary` to every answer, and the CORS headers to an answer with a grant.
    pub fn put_headers(grant: Option<Self>, response: &mut Response) {
        let headers = response.headers_mut();
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(grant) = grant {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, grant.origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
        }
    }
}
