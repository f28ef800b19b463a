//! What all pages share: the layout, the headers, and fields of forms.

use crate::{
    domain::{Faults, Origin},
    http::wire::error::ApiError,
};
use askama::Template;
use poem::{
    Response,
    http::{HeaderName, HeaderValue, StatusCode, header},
};

/// Nothing from another host, no inline style and no script of anybody else, and no frame around a page.
const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; form-action 'self'; \
     frame-ancestors 'none'; base-uri 'none'",
);
const CROSS_ORIGIN_OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// What the layout shows around each page.
pub struct Layout<'p> {
    /// The name of the installation.
    pub instance: &'p str,
    pub style: &'static str,
    pub icon: &'static str,
    /// The username of whoever is signed in.
    pub signed_in: Option<&'p str>,
}

impl<'p> Layout<'p> {
    pub fn new(instance: &'p str, signed_in: Option<&'p str>) -> Self {
        Self { instance, style: super::assets::style(), icon: super::assets::icon(), signed_in }
    }
}

/// Whether passwords cross a network unprotected.
pub fn is_unprotected(public_url: &Origin) -> bool {
    !public_url.is_https() && !public_url.is_loopback()
}

/// A field of a form, with what was typed into it and what is wrong with that.
pub struct Field<'p> {
    pub name: &'static str,
    pub label: &'static str,
    /// The `type` of the input.
    pub kind: &'static str,
    /// What a browser or a password manager may fill in (WHATWG HTML, "autofill").
    pub autocomplete: &'static str,
    pub value: &'p str,
    pub fault: Option<&'p str>,
    /// Whether the cursor stands here.
    pub focus: bool,
}

/// Gives the fields their faults. The cursor stands in the first faulty one, else in `first`.
pub fn with_faults<'p>(mut fields: Vec<Field<'p>>, faults: &'p Faults, first: &str) -> Vec<Field<'p>> {
    for field in &mut fields {
        field.fault = faults.iter().find(|(name, _)| *name == field.name).map(|(_, fault)| fault);
    }
    let faulty = fields.iter().position(|field| field.fault.is_some());
    let focus = faulty.or_else(|| fields.iter().position(|field| field.name == first));
    if let Some(field) = focus.and_then(|at| fields.get_mut(at)) {
        field.focus = true;
    }
    fields
}

/// A page.
pub fn html(status: StatusCode, template: &impl Template) -> Result<Response, ApiError> {
    let text = template.render().map_err(|error| ApiError::internal(format!("a page can't be rendered: {error}")))?;
    let mut response = Response::builder().status(status).content_type("text/html; charset=utf-8").body(text);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(CROSS_ORIGIN_OPENER_POLICY, HeaderValue::from_static("same-origin"));
    Ok(response)
}

/// Where a form ends: the browser opens another page (RFC 9110, section 15.4.4).
pub fn see_other(path: &str) -> Response {
    Response::builder().status(StatusCode::SEE_OTHER).header(header::LOCATION, path).finish()
}
