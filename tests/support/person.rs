//! A person with a browser: cookies, forms, and no token. What holds for every page is asserted of each answer.

use super::{PASSWORD, Server, Settings, binary::Serving};
use std::{cell::RefCell, collections::BTreeMap, net::SocketAddr, rc::Rc, time::Duration};
use usher::domain::Origin;

/// Where the tests' pages are: behind a proxy with TLS, which the tests stand in for.
pub const PUBLIC_URL: &str = "https://auth.example.test";

/// Serves pages at `PUBLIC_URL`.
pub fn pages(settings: &mut Settings) {
    settings.policy.public_url = Some(Origin::parse(PUBLIC_URL).expect("an origin"));
}

impl Server {
    /// A server with pages.
    pub fn with_pages() -> Self {
        Self::with(pages)
    }

    /// Somebody with a new browser.
    pub fn person(&self) -> Person {
        Person::at(self.address)
    }

    /// Somebody who is signed in.
    pub fn signed_in_person(&self, name: &str) -> Person {
        let person = self.person();
        person.sign_in(name, PASSWORD).leads_to("/");
        person
    }
}

impl Serving {
    /// Somebody with a new browser, where the server's public URL is that of the tests.
    pub fn person(&self) -> Person {
        Person::at(self.address)
    }
}

#[derive(Clone)]
pub struct Person {
    address: SocketAddr,
    /// What the browser shows as the host.
    pub host: String,
    /// Clones of a person have the same cookies, until somebody takes them.
    pub cookies: Rc<RefCell<BTreeMap<String, String>>>,
    agent: ureq::Agent,
}

impl Person {
    fn at(address: SocketAddr) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_mins(1)))
            .build();
        let host = PUBLIC_URL.trim_start_matches("https://").to_owned();
        Self { address, host, cookies: Rc::default(), agent: config.into() }
    }

    /// Another browser with a copy of the cookies.
    pub fn stolen(&self) -> Self {
        Self { cookies: Rc::new(RefCell::new(self.cookies.borrow().clone())), ..self.clone() }
    }

    pub fn open(&self, path: &str) -> Page {
        self.send("GET", path, &[("sec-fetch-site", "none")], None)
    }

    /// Sends a form from a page of ours.
    pub fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        self.submit_with(path, &[("sec-fetch-site", "same-origin")], fields)
    }

    pub fn submit_with(&self, path: &str, headers: &[(&str, &str)], fields: &[(&str, &str)]) -> Page {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
        all.extend(headers);
        self.send("POST", path, &all, Some(form.as_bytes()))
    }

    pub fn sign_in(&self, login: &str, password: &str) -> Page {
        self.submit("/sign-in", &[("login", login), ("password", password), ("keep", "yes")])
    }

    /// The name that the pages greet the person with, if they are signed in.
    pub fn signed_in_as(&self) -> Option<String> {
        let page = self.open("/sign-out");
        let (_, after) = page.body.split_once("Signed in as <strong>")?;
        after.split_once("</strong>").map(|(name, _)| name.to_owned())
    }

    /// The value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.borrow().get(name).cloned()
    }

    pub fn set_cookie(&self, name: &str, value: &str) {
        self.cookies.borrow_mut().insert(name.to_owned(), value.to_owned());
    }

    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Page {
        let uri = format!("http://{}{path}", self.address);
        let mut request = ureq::http::Request::builder().method(method).uri(uri).header("host", &self.host);
        let cookies: Vec<String> =
            self.cookies.borrow().iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = match body {
            Some(body) => self.agent.run(request.body(body).expect("a request")),
            None => self.agent.run(request.body(()).expect("a request")),
        };
        let mut response = sent.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let page = Page {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.body_mut().read_to_string().expect("text"),
        };
        self.keep_cookies(&page);
        page.hold(method, path);
        page
    }

    /// As a browser does. What a cookie's attributes promise is asserted where it is set.
    fn keep_cookies(&self, page: &Page) {
        for line in page.set_cookies() {
            let (pair, attributes) = line.split_once(';').expect("attributes");
            let (name, value) = pair.split_once('=').expect("a name and a value");
            for promised in ["HttpOnly", "SameSite=Lax", "Path=/"] {
                assert!(attributes.contains(promised), "{line}");
            }
            assert_eq!(attributes.contains("Secure"), name.starts_with("__Host-"), "{line}");
            assert!(!attributes.contains("Domain"), "{line}");
            if attributes.contains("Max-Age=0") {
                self.cookies.borrow_mut().remove(name);
            } else {
                self.set_cookie(name, value);
            }
        }
    }
}

/// An answer to a browser, read whole.
pub struct Page {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub body: String,
}

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} {}", self.status, self.headers, self.body)
    }
}

impl Page {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("plain text"))
    }

    pub fn set_cookies(&self) -> Vec<&str> {
        self.headers.get_all("set-cookie").iter().map(|line| line.to_str().expect("plain text")).collect()
    }

    /// Asserts a redirect of the kind that follows a form.
    #[track_caller]
    pub fn leads_to(&self, location: &str) -> &Self {
        assert_eq!((self.status, self.header("location")), (303, location), "{self:?}");
        self
    }

    /// Asserts a status and a part of the page.
    #[track_caller]
    pub fn says(&self, status: u16, text: &str) -> &Self {
        assert!(self.status == status && self.body.contains(text), "{status} {text:?}: {self:?}");
        self
    }

    /// The tag of the field with this name.
    #[track_caller]
    pub fn field(&self, name: &str) -> &str {
        let (_, from) =
            self.body.split_once(&format!(" name=\"{name}\"")).unwrap_or_else(|| panic!("{name}: {self:?}"));
        from.split('>').next().expect("the end of a tag")
    }

    /// What a field holds.
    #[track_caller]
    pub fn value(&self, name: &str) -> &str {
        let (_, from) = self.field(name).split_once("value=\"").expect("a value");
        from.split('"').next().expect("the end of a value")
    }

    /// What is said to be wrong with a field.
    pub fn fault(&self, name: &str) -> Option<&str> {
        let (_, from) = self.body.split_once(&format!("id=\"{name}-fault\">"))?;
        assert!(
            self.field(name).contains("aria-invalid=\"true\"") && self.field(name).contains(&format!("{name}-fault\""))
        );
        from.split('<').next()
    }

    /// What is promised of every page.
    fn hold(&self, method: &str, path: &str) {
        let name = format!("{method} {path}: {self:?}");
        assert_eq!(self.header("x-content-type-options"), "nosniff", "{name}");
        assert!(!self.header("x-request-id").is_empty(), "{name}");
        if path == "/api" || path.starts_with("/api/") {
            return;
        }
        if path.starts_with("/assets/") && self.status == 200 {
            assert_eq!(self.header("cache-control"), "public, max-age=31536000, immutable", "{name}");
            return;
        }
        assert_eq!(self.header("cache-control"), "no-store", "{name}");
        if matches!(self.status, 303 | 307) {
            assert!(self.body.is_empty() && !self.header("location").is_empty(), "{name}");
            return;
        }
        if path.starts_with("/admin/audit/export") && self.status == 200 {
            assert!(self.header("content-disposition").starts_with("attachment; filename="), "{name}");
            return;
        }
        assert_eq!(self.header("content-type"), "text/html; charset=utf-8", "{name}");
        let policy = self.header("content-security-policy");
        for part in ["default-src 'none'", "style-src 'self'", "frame-ancestors 'none'", "form-action 'self'"] {
            assert!(policy.contains(part) && !policy.contains("unsafe"), "{name}");
        }
        assert_eq!(self.header("referrer-policy"), "same-origin", "{name}");
        assert_eq!(self.header("cross-origin-opener-policy"), "same-origin", "{name}");
        if method == "HEAD" {
            return;
        }
        assert!(self.body.starts_with("<!doctype html>") && self.body.contains("<h1>"), "{name}");
        for inline in ["style=", "<style", "<script>", " onclick", "javascript:"] {
            assert!(!self.body.contains(inline), "{inline} in {name}");
        }
        if self.status >= 400 {
            assert!(self.body.contains("role=\"alert\""), "{name}");
        }
    }
}
