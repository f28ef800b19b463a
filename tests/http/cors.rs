//! Web apps on other origins, by the steps of the fetch standard (fetch.spec.whatwg.org, "CORS-preflight fetch" and "CORS
//! check"), and in a real browser.

use crate::support::{Answer, Client, PASSWORD, Server, probes::Probes};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use usher::domain::{Origin, SessionToken};

const APP: &str = "https://app.example.com";
const DEV: &str = "http://localhost:5173";
const OTHER: &str = "https://evil.example.com";

/// A server that grants reading to `APP` and `DEV`.
fn server() -> Server {
    Server::with(|settings| {
        settings.http.cors_origins = [APP, DEV].map(|origin| Origin::parse(origin).expect("an origin")).to_vec();
    })
}

/// What a browser does for a script on a page of another origin.
struct Browser {
    origin: &'static str,
    network: Client,
}

/// What the script then sees.
#[derive(Debug)]
struct Seen {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// "Extract header list values", for headers that are lists of tokens.
fn list(answer: &Answer, name: &str) -> Vec<String> {
    let values = answer.headers.get_all(name).iter().map(|value| value.to_str().expect("text"));
    values.flat_map(|value| value.split(',')).map(|item| item.trim().to_owned()).collect()
}

impl Browser {
    fn on(server: &Server, origin: &'static str) -> Self {
        Self { origin, network: server.anon() }
    }

    /// `fetch(url, {method, headers, body})`. An error is a network error: the script learns nothing, not even a status.
    fn fetch(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Result<Seen, String> {
        let safelisted = |(name, value): &(&str, &str)| match name.to_lowercase().as_str() {
            "accept" | "accept-language" | "content-language" => true,
            "content-type" => {
                ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"].contains(value)
            }
            _ => false,
        };
        let unsafe_names: Vec<String> =
            headers.iter().filter(|header| !safelisted(header)).map(|(name, _)| name.to_lowercase()).collect();
        if !["GET", "HEAD", "POST"].contains(&method) || !unsafe_names.is_empty() {
            self.preflight(method, path, unsafe_names)?;
        }
        let headers: Vec<_> = headers.iter().copied().chain([("origin", self.origin)]).collect();
        let answer =
            self.network.send(method, path, &headers, body.map(|body| body.to_string()).as_deref().map(str::as_bytes));
        self.check(&answer)?;
        Ok(Self::filtered(answer))
    }

    /// "CORS-preflight fetch".
    fn preflight(&self, method: &str, path: &str, mut names: Vec<String>) -> Result<(), String> {
        names.sort();
        let joined = names.join(",");
        let mut headers = vec![("accept", "*/*"), ("access-control-request-method", method), ("origin", self.origin)];
        if !names.is_empty() {
            headers.push(("access-control-request-headers", &joined));
        }
        let answer = self.network.send("OPTIONS", path, &headers, None);
        self.check(&answer)?;
        if !(200..300).contains(&answer.status) {
            return Err(format!("the preflight's status is {}", answer.status));
        }
        let methods = list(&answer, "access-control-allow-methods");
        if !methods.iter().any(|allowed| allowed == method) && !["GET", "HEAD", "POST"].contains(&method) {
            return Err(format!("{method} is not among {methods:?}")); // methods are compared with regard to case
        }
        let allowed = list(&answer, "access-control-allow-headers");
        let missing = names.iter().find(|name| !allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(name)));
        missing.map_or(Ok(()), |name| Err(format!("{name} is not among {allowed:?}")))
    }

    /// "CORS check", without credentials.
    fn check(&self, answer: &Answer) -> Result<(), String> {
        let granted: Vec<_> = answer.headers.get_all("access-control-allow-origin").iter().collect();
        match granted[..] {
            [origin] if origin == "*" || origin == self.origin => Ok(()),
            _ => Err(format!("{:?} may not read what was answered to {granted:?}", self.origin)),
        }
    }

    /// "CORS filtered response".
    fn filtered(answer: Answer) -> Seen {
        const SAFELISTED: [&str; 7] = [
            "cache-control",
            "content-language",
            "content-length",
            "content-type",
            "expires",
            "last-modified",
            "pragma",
        ];
        let exposed = list(&answer, "access-control-expose-headers");
        let is_shown =
            |name: &str| SAFELISTED.contains(&name) || exposed.iter().any(|exposed| exposed.eq_ignore_ascii_case(name));
        let headers = answer.headers.keys().filter(|name| is_shown(name.as_str()));
        let headers = headers.map(|name| (name.to_string(), answer.header(name.as_str()).to_owned())).collect();
        Seen { status: answer.status, headers, body: answer.body }
    }
}

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Registers and signs in from a page; returns what to put into `Authorization`.
fn sign_in(browser: &Browser, name: &str) -> String {
    let email = format!("{name}@example.com");
    let account = json!({"username": name, "email": email, "password": PASSWORD});
    assert_eq!(browser.fetch("POST", "/users", &[JSON], Some(account)).unwrap().status, 201);
    let login = browser.fetch("POST", "/auth/login", &[JSON], Some(json!({"email": email, "password": PASSWORD})));
    format!("Bearer {}", login.unwrap().json()["token"].as_str().expect("a token"))
}

#[test]
fn a_granted_app_does_everything_that_the_api_has() {
    // given
    let server = server();
    let browser = Browser::on(&server, APP);
    let token = sign_in(&browser, "ada");
    let auth = ("Authorization", token.as_str());

    // when
    let read = browser.fetch("GET", "/users/1", &[auth], None).unwrap();
    let tag = read.header("etag").expect("a tag that scripts see").to_owned();
    let change = Some(json!({"username": "countess"}));
    let changed = browser.fetch("PUT", "/users/1", &[auth, JSON, ("If-Match", &tag)], change.clone()).unwrap();
    let late = browser.fetch("PUT", "/users/1", &[auth, JSON, ("If-Match", &tag)], change).unwrap();
    let out = browser.fetch("POST", "/auth/logout", &[auth], None).unwrap();
    let token = format!("Bearer {}", server.sign_in("ada").token.expect("a token"));
    let deleted = browser.fetch("DELETE", "/users/1", &[("Authorization", &token)], None).unwrap();

    // then
    assert_eq!([read, changed, late, out, deleted].map(|seen| seen.status), [200, 200, 412, 200, 204]);
}

#[test]
fn what_an_app_needs_from_the_headers_is_shown_to_it() {
    let server = server();
    let browser = Browser::on(&server, DEV);
    let account = json!({"username": "ada", "email": "ada@example.com", "password": PASSWORD});

    let made = browser.fetch("POST", "/users", &[JSON], Some(account)).unwrap();
    let refused = browser.fetch("GET", "/auth/me", &[("Authorization", "Bearer wrong")], None).unwrap();

    assert_eq!(made.header("location"), Some("/api/v1/users/1"));
    assert_eq!(made.header("etag"), Some("\"1.1\""));
    assert!(made.header("x-request-id").is_some());
    assert_eq!(refused.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
}

#[test]
fn errors_of_every_kind_can_be_read_by_a_granted_app() {
    let server = Server::with(|settings| {
        settings.http.cors_origins = vec![Origin::parse(APP).expect("an origin")];
        (settings.hash_threads, settings.hash_queue) = (0, 0);
    });
    let browser = Browser::on(&server, APP);
    let error = |method: &str, path: &str, headers: &[(&str, &str)], body: Option<Value>| {
        let seen = browser.fetch(method, path, headers, body).unwrap();
        (seen.status, seen.json()["error"]["code"].as_str().expect("a code").to_owned())
    };

    assert_eq!(error("POST", "/users", &[JSON], Some(json!({}))), (400, "validation_failed".into()));
    assert_eq!(error("GET", "/auth/me", &[], None), (401, "authentication_required".into()));
    assert_eq!(error("GET", "/nothing/here", &[], None), (404, "not_found".into()));
    assert_eq!(error("POST", "/auth/me", &[], None), (405, "method_not_allowed".into()));
    let text = [("Content-Type", "text/plain")];
    assert_eq!(error("POST", "/users", &text, Some(json!({}))), (415, "unsupported_media_type".into()));
    let login = json!({"email": "ada@example.com", "password": PASSWORD});
    let overloaded = browser.fetch("POST", "/auth/login", &[JSON], Some(login)).unwrap();
    assert_eq!((overloaded.status, overloaded.header("retry-after")), (503, Some("1")));
    // Refused before its body has come, and before any route is found.
    let large = "POST /api/v1/users HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 70000";
    let two_hosts = "GET /api/v1/auth/me HTTP/1.1\r\nHost: a\r\nHost: b";
    for (head, status) in [(large, 413), (two_hosts, 400)] {
        let answer = server.raw(format!("{head}\r\nOrigin: {APP}\r\nConnection: close\r\n\r\n"));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains(&format!("\r\naccess-control-allow-origin: {APP}\r\n")), "{answer}");
    }
}

#[test]
fn a_failure_of_the_disk_can_be_read_by_a_granted_app() {
    let server = server();
    let browser = Browser::on(&server, APP);
    server.drop_sessions_table();
    let token = SessionToken::generate();
    let broken = browser.fetch("GET", "/auth/me", &[("Authorization", token.reveal())], None).unwrap();
    assert_eq!(broken.status, 500, "{broken:?}");
}

#[test]
fn what_lies_beside_the_api_can_be_read_by_a_granted_app() {
    let server = server();
    for path in ["//healthz", "//readyz", "/openapi.json"] {
        assert_eq!(Browser::on(&server, APP).fetch("GET", path, &[], None).unwrap().status, 200, "{path}");
        assert!(Browser::on(&server, OTHER).fetch("GET", path, &[], None).is_err(), "{path}");
    }
}

#[test]
fn a_preflight_is_answered_with_the_methods_of_its_path() {
    let server = server();
    for (path, methods) in [
        ("/users", "GET, HEAD, POST"),
        ("/users/1", "DELETE, GET, HEAD, PUT"),
        ("/users/abc", "DELETE, GET, HEAD, PUT"),
        ("/auth/me", "GET, HEAD"),
        ("/auth/login", "POST"),
        ("//healthz", "GET, HEAD"),
    ] {
        let headers = [("origin", APP), ("access-control-request-method", "PUT")];
        let answer = server.anon().send("OPTIONS", path, &headers, None);
        assert_eq!((answer.status, answer.body.len()), (204, 0), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), APP);
        assert_eq!(answer.header("access-control-allow-methods"), methods, "{path}");
        assert_eq!(answer.header("access-control-allow-headers"), "Authorization, Content-Type, If-Match");
        assert_eq!(answer.header("access-control-max-age"), "3600");
    }
    let browser = Browser::on(&server, APP);
    assert!(browser.fetch("PUT", "/auth/me", &[JSON], Some(json!({}))).is_err(), "the path has no PUT");
    assert!(browser.fetch("GET", "/auth/me", &[("X-Anything", "1")], None).is_err(), "a header that nobody needs");
    assert!(browser.fetch("PUT", "/nothing/here", &[], None).is_err(), "no such path");
}

#[test]
fn an_origin_that_is_not_granted_gets_the_ordinary_answer_and_its_scripts_cannot_read_it() {
    // given
    let server = server();
    let ada = server.user("ada");
    let token = format!("Bearer {}", ada.token.clone().expect("a token"));

    // whatever is not the granted text is another origin
    for origin in [
        OTHER,
        "null",
        "*",
        "https://app.example.com:444",
        "http://app.example.com",
        "https://app.example.com.evil.example.com",
        "https://evilapp.example.com",
        "https://APP.example.com",
        "https://app.example.com/",
        "https://app.example.co",
        "http://localhost",
    ] {
        // when
        let browser = Browser { origin, network: server.anon() };
        assert!(browser.fetch("GET", "/auth/me", &[("Authorization", &token)], None).is_err(), "{origin}");
        assert!(browser.fetch("GET", "/auth/me", &[], None).is_err(), "{origin}");
        let plain = ada.send("GET", "/auth/me", &[("origin", origin)], None);
        let preflight = [("origin", origin), ("access-control-request-method", "PUT")];
        let preflight = ada.send("OPTIONS", "/users/1", &preflight, None);

        // then
        assert_eq!(plain.json(), ada.get("/auth/me").json());
        preflight.is(405, "method_not_allowed");
        assert_eq!(preflight.header("allow"), "DELETE, GET, HEAD, PUT");
        for answer in [plain, preflight] {
            let grants = answer.headers.keys().filter(|name| name.as_str().starts_with("access-control-"));
            assert_eq!(grants.count(), 0, "{origin} {answer:?}");
        }
    }
}

#[test]
fn two_origins_are_none() {
    let request = format!(
        "GET /api/v1/auth/me HTTP/1.1\r\nHost: a\r\nOrigin: {APP}\r\nOrigin: {APP}\r\nConnection: close\r\n\r\n"
    );
    let answer = server().raw(request);
    assert!(answer.starts_with("HTTP/1.1 401 ") && !answer.contains("access-control"), "{answer}");
}

#[test]
fn options_without_a_question_is_a_method_like_any_other() {
    let server = server();
    let answer = server.anon().send("OPTIONS", "/users/1", &[("origin", APP)], None);
    answer.is(405, "method_not_allowed");
    assert_eq!(answer.header("access-control-allow-origin"), APP);
}

#[test]
fn nobody_is_granted_anything_unless_it_is_set_and_no_cookie_is_ever_asked_for() {
    let server = Server::start();
    assert!(Browser::on(&server, APP).fetch("GET", "//healthz", &[], None).is_err());
    let granted = self::server().anon().send("GET", "//healthz", &[("origin", APP)], None);
    assert_eq!(granted.header("access-control-allow-credentials"), "");
    assert_eq!(granted.header("vary"), "Origin");
}

#[test]
fn an_origin_that_no_browser_sends_is_refused_at_the_start_with_the_right_spelling() {
    let folder = tempfile::tempdir().unwrap();
    for (given, told) in [
        ("https://app.example.com/", "write it as browsers send it: https://app.example.com"),
        ("https://App.Example.com", "write it as browsers send it: https://app.example.com"),
        ("https://app.example.com:443", "write it as browsers send it: https://app.example.com"),
        ("*", "list the origins"),
        ("null", "null is not allowed"),
        ("app.example.com", "such as https://app.example.com"),
    ] {
        let refused = crate::support::binary::usher(folder.path(), &["serve", "--cors-origin", given]);
        let complaint = crate::support::binary::complaint(&refused);
        assert_eq!(refused.status.code(), Some(2), "{complaint}");
        assert!(complaint.contains("--cors-origin") && complaint.contains(told), "{complaint}");
    }
}

#[test]
fn several_origins_can_be_set_by_flags_and_by_the_environment() {
    use crate::support::binary::{Serving, command};
    let folder = tempfile::tempdir().unwrap();
    let mut by_variable = command(folder.path());
    by_variable.arg("serve").env("USHER_CORS_ORIGIN", format!("{APP}, {DEV}"));
    let mut by_flags = command(folder.path());
    by_flags.args(["serve", "--cors-origin", APP, "--cors-origin", DEV]);
    for mut command in [by_variable, by_flags] {
        let serving = Serving::spawn(folder.path(), &mut command);
        for origin in [APP, DEV] {
            let answer = serving.client().send("GET", "//healthz", &[("origin", origin)], None);
            assert_eq!(answer.header("access-control-allow-origin"), origin);
        }
    }
}

/// In Chromium.
#[cfg(feature = "system-tests")]
mod chromium {
    use super::*;
    use std::{
        io::{Read, Write},
        net::{SocketAddr, TcpListener, TcpStream},
    };

    /// What a script on the page learns, as JSON in the page's text.
    const SCRIPT: &str = r#"
        const api = "http://SERVER/api/v1";
        const seen = {origin: location.origin};
        const json = {"Content-Type": "application/json"};
        const call = async (name, path, options = {}) => {
            try {
                const answer = await fetch(api + path, options);
                const headers = {};
                for (const name of ["ETag", "Location", "WWW-Authenticate", "X-Request-Id", "Vary"])
                    headers[name] = answer.headers.get(name);
                const text = await answer.text();
                seen[name] = {status: answer.status, headers, body: text ? JSON.parse(text) : null};
            } catch (error) {
                seen[name] = {error: error.name};
            }
            return seen[name];
        };
        const run = async () => {
            const account = {username: "ada", email: "ada@example.com", password: "correct horse battery"};
            await call("registered", "/users", {method: "POST", headers: json, body: JSON.stringify(account)});
            const {username, ...credentials} = account;
            const login = await call("login", "/auth/login", {method: "POST", headers: json, body: JSON.stringify(credentials)});
            const auth = {"Authorization": "Bearer " + login.body?.token};
            const read = await call("read", "/users/1", {headers: auth});
            const change = {method: "PUT", headers: {...auth, ...json, "If-Match": read.headers?.ETag ?? "*"}, body: '{"username": "countess"}'};
            await call("changed", "/users/1", change);
            await call("late", "/users/1", change);
            await call("refused", "/auth/me", {headers: {"Authorization": "Bearer wrong"}});
            await call("cookies", "/auth/me", {headers: auth, credentials: "include"});
            await call("out", "/auth/logout", {method: "POST", headers: auth});
        };
        run().then(() => { document.body.textContent = "SEEN" + JSON.stringify(seen) + "END"; });
    "#;

    /// Answers everything with one page, on a port and so an origin of its own, until the test ends.
    fn page(listener: TcpListener, api: SocketAddr) {
        let page = format!(
            "<!doctype html><meta charset=utf-8><link rel=icon href='data:,'><body><script>{}</script>",
            SCRIPT.replace("SERVER", &api.to_string())
        );
        let answer = move |mut stream: TcpStream| {
            let _ = stream.read(&mut [0; 8192]);
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length";
            let _ = write!(stream, "{head}: {}\r\n\r\n{page}", page.len());
        };
        std::thread::spawn(move || listener.incoming().flatten().for_each(answer));
    }

    /// Opens a page in a fresh browser, and returns what its script has seen.
    fn visit(url: &str) -> Value {
        let page = crate::support::browser::page(url);
        let seen = page.split_once("SEEN").and_then(|(_, rest)| rest.split_once("END"));
        let (seen, _) = seen.unwrap_or_else(|| panic!("{page}"));
        serde_json::from_str(&seen.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")).expect("JSON")
    }

    #[test]
    fn a_real_browser_lets_a_granted_app_work_and_another_read_nothing() {
        // given
        let [granted, other] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [app, elsewhere] = [&granted, &other].map(|page| format!("http://{}", page.local_addr().unwrap()));
        let server = Server::with(|settings| settings.http.cors_origins = vec![Origin::parse(&app).unwrap()]);
        page(granted, server.address);
        page(other, server.address);

        // when
        let (seen, nothing) = (visit(&app), visit(&elsewhere));

        // then
        assert_eq!(seen["origin"], app.as_str());
        for (step, status) in [
            ("registered", 201),
            ("login", 200),
            ("read", 200),
            ("changed", 200),
            ("late", 412),
            ("refused", 401),
            ("out", 200),
        ] {
            assert_eq!(seen[step]["status"], status, "{step}: {seen:#}");
            assert!(seen[step]["headers"]["X-Request-Id"].is_string(), "{step}: {seen:#}");
        }
        assert_eq!(seen["registered"]["headers"]["Location"], "/api/v1/users/1");
        assert_eq!(seen["read"]["headers"]["ETag"], "\"1.1\"");
        assert_eq!(seen["changed"]["headers"]["ETag"], "\"1.2\"");
        assert_eq!(seen["changed"]["body"]["username"], "countess");
        assert_eq!(seen["late"]["body"]["error"]["code"], "precondition_failed");
        assert_eq!(seen["refused"]["headers"]["WWW-Authenticate"], "Bearer error=\"invalid_token\"");
        assert_eq!(seen["read"]["headers"]["Vary"], Value::Null, "what is not exposed is not shown");
        assert_eq!(seen["cookies"]["error"], "TypeError", "cookies are not asked for, and not granted");
        assert_eq!(nothing["origin"], elsewhere.as_str());
        for step in ["registered", "login", "read", "changed", "late", "refused", "cookies", "out"] {
            assert_eq!(nothing[step], json!({"error": "TypeError"}), "{step}: {nothing:#}");
        }
        assert_eq!(server.user_count(), 1, "the other's preflights came back without a grant");
    }
}
