//! All routes in one flat table: first the path is matched, then the method.

use crate::http::wire::{
    error::{ApiError, ErrorCode},
    query,
};
use matchit::Router;
use percent_encoding::percent_decode_str;
use poem::{
    Endpoint, EndpointExt, IntoEndpoint, Request, Response,
    endpoint::BoxEndpoint,
    http::{HeaderValue, Method},
};

/// One path and its handlers.
pub struct Route {
    /// As the spec spells it, such as `/api/v1/users/{user_id}`: for logs, metrics and the router.
    pub template: &'static str,
    pub allow: HeaderValue,
    methods: Vec<(Method, BoxEndpoint<'static>)>,
    /// Of these, the ones that take no query parameters.
    without_query: &'static [Method],
}

#[derive(Default)]
pub struct Routes(Router<Route>);

impl Routes {
    /// Adds a path. For the methods `without_query`, query parameters are refused; others read or ignore them.
    pub fn at(
        &mut self,
        template: &'static str,
        methods: impl IntoIterator<Item = (Method, BoxEndpoint<'static>)>,
        without_query: &'static [Method],
    ) {
        let methods: Vec<_> = methods.into_iter().collect();
        let route = Route { template, allow: allow(&methods), methods, without_query };
        self.0.insert(template, route).expect("no two paths collide");
    }

    /// Finds the route of a path, and the values of its parameters in order.
    pub fn find(&self, path: &str) -> Option<(&Route, Vec<String>)> {
        let found = self.0.at(path).ok()?;
        Some((found.value, found.params.iter().map(|(_, text)| unescaped(text)).collect()))
    }
}

/// An endpoint for `Routes::at`.
pub fn handler<E: IntoEndpoint<Endpoint: 'static>>(endpoint: E) -> BoxEndpoint<'static> {
    endpoint.map_to_response().boxed()
}

/// Decodes a parameter. If it is not UTF-8, it can't be part of an id, and stays as it was sent.
fn unescaped(text: &str) -> String {
    percent_decode_str(text).decode_utf8().map_or_else(|_| text.to_owned(), Into::into)
}

fn allow(methods: &[(Method, BoxEndpoint<'static>)]) -> HeaderValue {
    let mut names: Vec<&str> = methods.iter().map(|(method, _)| method.as_str()).collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    names.sort_unstable();
    HeaderValue::from_str(&names.join(", ")).expect("methods are plain text")
}

impl Route {
    /// Calls the handler of the method. `HEAD` uses `GET`, and hyper leaves out the content (RFC 9110, section 9.3.2).
    pub async fn call(&self, request: Request) -> poem::Result<Response> {
        let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
        let endpoint = self.method(method).ok_or_else(|| ApiError::new(ErrorCode::MethodNotAllowed))?;
        if let Some(query) = request.uri().query()
            && self.without_query.contains(method)
        {
            query::refuse(query)?;
        }
        endpoint.call(request).await
    }

    fn method(&self, wanted: &Method) -> Option<&BoxEndpoint<'static>> {
        self.methods.iter().find(|(method, _)| method == wanted).map(|(_, endpoint)| endpoint)
    }
}
