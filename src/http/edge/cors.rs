//! Web apps on other origins: which of them a browser may let read the answers (fetch.spec.whatwg.org, "CORS protocol").
//!
//! Origins are compared as they are sent, with no patterns. There is no `Access-Control-Allow-Credentials`: no cookie
//! opens anything here, an app sends its token in a header. This decides what a browser shows to scripts, not who may do
//! what, so a page that is granted nothing gets the ordinary answer, and can't read it.

use crate::domain::Origin;
use poem::{
    Request, Response,
    http::{HeaderValue, Method, StatusCode, header},
};

const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static("Authorization, Content-Type, If-Match");
const EXPOSED_HEADERS: HeaderValue =
    HeaderValue::from_static("ETag, Location, Retry-After, X-Request-Id, WWW-Authenticate");
/// For how many seconds a browser need not ask again. It learns then what the actual answer would tell it, too.
const MAX_AGE: HeaderValue = HeaderValue::from_static("3600");

/// The origins that are granted reading.
#[derive(Debug)]
pub struct Cors(Vec<HeaderValue>);

/// What a request from a granted origin is given.
#[derive(Debug)]
pub struct Grant {
    origin: HeaderValue,
    /// Whether it only asks which requests may be sent.
    preflight: bool,
}

impl Cors {
    pub fn new(origins: &[Origin]) -> Self {
        let value = |origin: &Origin| HeaderValue::from_str(origin.as_str()).expect("an origin is plain ASCII");
        Self(origins.iter().map(value).collect())
    }

    /// `None` for a request from no origin, from another, or from two.
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
    /// The answer to a preflight for a path with these methods; `None` where the request is not a preflight.
    pub fn to_preflight(grant: Option<&Self>, methods: &HeaderValue) -> Option<Response> {
        grant.filter(|grant| grant.preflight)?;
        let response = Response::builder()
            .status(StatusCode::NO_CONTENT)
            .header(header::ACCESS_CONTROL_ALLOW_METHODS, methods)
            .header(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS)
            .header(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        Some(response.finish())
    }

    /// Every answer says that another origin's may differ; one with a grant says whose it is.
    pub fn put_headers(grant: Option<Self>, response: &mut Response) {
        let headers = response.headers_mut();
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(grant) = grant {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, grant.origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
        }
    }
}
