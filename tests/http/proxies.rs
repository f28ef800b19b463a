//! What `examples/proxies/` shows is so: the very files, on real nginx and real Caddy, between callers, the real
//! executable and a small app that keeps what reaches it.

use crate::support::{
    Client,
    binary::{Serving, create_admin, until},
    raw, unique,
};
use serde_json::json;
use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Runs each fact behind each proxy.
macro_rules! behind_each_proxy {
    ($($fact:ident,)*) => {
        mod behind_nginx {
            $(#[test] fn $fact() { super::$fact(&super::Site::open(super::Kind::Nginx)); })*
        }
        mod behind_caddy {
            $(#[test] fn $fact() { super::$fact(&super::Site::open(super::Kind::Caddy)); })*
        }
    };
}

behind_each_proxy! {
    without_a_valid_token_the_app_is_not_reached,
    with_a_token_the_app_learns_who_calls,
    no_spelling_of_a_forged_header_reaches_the_app,
    a_caller_cannot_have_the_headers_taken_away,
    administrators_only_means_every_spelling_of_the_path,
    the_query_of_a_request_is_not_a_question_to_usher,
    a_body_arrives_whole,
    a_refused_body_is_not_the_next_request,
    a_preflight_reaches_the_app_without_a_caller,
    what_is_no_preflight_needs_a_token,
    what_changes_acts_on_the_very_next_request,
    without_usher_nobody_reaches_the_app,
    connections_to_usher_and_to_the_app_are_kept,
    usher_itself_is_not_reached,
    usher_and_the_app_know_the_client_and_the_request,
    a_websocket_needs_a_token_and_no_other_protocol_is_switched_to,
    nothing_but_a_get_begins_a_websocket,
    a_refusal_can_be_read_by_a_page_of_an_origin_that_usher_grants,
    what_the_app_refuses_itself_is_passed_on_as_it_is,
    two_apps_are_told_apart_by_their_names,
    usher_has_a_name_of_its_own_with_tls,
}

/// Names and values, in the order in which they are sent.
type Headers<'h> = &'h [(&'h str, &'h str)];

const HEADERS: [&str; 4] = ["remote-user", "remote-user-id", "remote-email", "remote-role"];

/// A request, as it reached the app.
#[derive(Debug, Clone)]
struct Reached {
    method: String,
    target: String,
    version: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reached {
    /// Every value of the headers that an app behind CGI or WSGI reads under a name.
    fn all(&self, name: &str) -> Vec<&str> {
        let read = |name: &str| name.replace(|c: char| !c.is_ascii_alphanumeric(), "_").to_ascii_lowercase();
        self.headers.iter().filter(|(given, _)| read(given) == read(name)).map(|(_, value)| value.as_str()).collect()
    }

    /// User, id, address and role, each of which must be there once.
    #[track_caller]
    fn caller(&self) -> [&str; 4] {
        HEADERS.map(|name| match self.all(name).as_slice() {
            [value] => *value,
            values => panic!("{name}: {values:?} in {self:?}"),
        })
    }

    fn is_anonymous(&self) -> bool {
        HEADERS.iter().chain(&["authorization"]).all(|name| self.all(name).is_empty())
    }
}

/// An HTTP server that says `200` to everything, or whatever it is told to, and keeps what it is asked.
struct Small {
    address: SocketAddr,
    reached: Arc<Mutex<Vec<Reached>>>,
    connections: Arc<AtomicUsize>,
}

impl Small {
    fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let small = Self { address, reached: Arc::default(), connections: Arc::default() };
        let (reached, connections) = (small.reached.clone(), small.connections.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                connections.fetch_add(1, Ordering::SeqCst);
                let reached = reached.clone();
                std::thread::spawn(move || serve(stream, &reached, answer));
            }
        });
        small
    }

    fn app() -> Self {
        Self::start("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nreached")
    }

    /// What has reached it since it was asked last.
    fn take(&self) -> Vec<Reached> {
        std::mem::take(&mut *self.reached.lock().expect("a list"))
    }
}

/// Answers the requests of one connection. One that asks for another protocol gets it, which is an echo.
fn serve(mut stream: TcpStream, keep: &Mutex<Vec<Reached>>, answer: &str) {
    while let Some(request) = read_request(&mut stream) {
        let switches = !request.all("upgrade").is_empty();
        let last = request.version == "HTTP/1.0" || request.all("connection").contains(&"close");
        keep.lock().expect("a list").push(request);
        let answer = if switches {
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        } else {
            answer
        };
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
        if switches {
            let mut read = stream.try_clone().expect("a second handle");
            let _ = std::io::copy(&mut read, &mut stream);
        }
        if switches || last {
            return;
        }
    }
}

fn read_line(stream: &mut TcpStream) -> Option<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        line.push(byte[0]);
    }
    line.truncate(line.len() - 2);
    Some(String::from_utf8_lossy(&line).into_owned())
}

fn read_bytes(stream: &mut TcpStream, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn read_request(stream: &mut TcpStream) -> Option<Reached> {
    let line = read_line(stream)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let mut headers = Vec::new();
    loop {
        let line = read_line(stream)?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut request = Reached { method, target, version, headers, body: Vec::new() };
    if let Some(length) = request.all("content-length").first() {
        request.body = read_bytes(stream, length.parse().ok()?)?;
    } else if !request.all("transfer-encoding").is_empty() {
        while let Some(length) = usize::from_str_radix(&read_line(stream)?, 16).ok().filter(|length| *length > 0) {
            request.body.extend(read_bytes(stream, length)?);
            read_line(stream)?;
        }
        read_line(stream)?;
    }
    Some(request)
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Nginx,
    Caddy,
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/proxies").join(name)
}

/// The text of an example with its addresses replaced, each of which stands in it once.
fn example_with(name: &str, addresses: &[(&str, String)]) -> String {
    let text = fs::read_to_string(example(name)).expect("an example");
    addresses.iter().fold(text, |text, (from, to)| {
        assert_eq!(text.matches(from).count(), 1, "{name}: {from}");
        text.replace(from, to)
    })
}

/// What somebody may have set for all their sites, and must not matter for this one.
const UNWISE: &str = "underscores_in_headers on; ignore_invalid_headers off; \
                      proxy_cache all; proxy_cache_valid any 10m; proxy_ignore_headers Cache-Control;";

/// Where everything is that an example names. Its app is `notes`; another one stands in a copy.
struct Plan<'p> {
    folder: &'p Path,
    /// Where the proxy listens for callers of the apps, and for those of usher.
    listen: SocketAddr,
    tls: SocketAddr,
    usher: SocketAddr,
    apps: [(&'static str, SocketAddr); 2],
}

impl Plan<'_> {
    /// Writes a file into the folder.
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, text).expect("a file");
        path
    }
}

impl Kind {
    /// Writes the examples into a folder, inside what a server needs beside them to run there, and says how to start it.
    fn command(self, plan: &Plan<'_>) -> Command {
        match self {
            Self::Nginx => nginx(plan),
            Self::Caddy => caddy(plan),
        }
    }
}

fn nginx(plan: &Plan<'_>) -> Command {
    let (folder, (certificate, key)) = (plan.folder.display(), certificate());
    let usher = [
        ("server 127.0.0.1:8080;", format!("server {};", plan.usher)),
        ("listen 443 ssl;", format!("listen {} ssl;", plan.tls)),
        ("/etc/ssl/certs/usher.example.com.pem;", format!("{};", certificate.display())),
        ("/etc/ssl/private/usher.example.com.key;", format!("{};", key.display())),
    ];
    plan.write("sites/usher.conf", &example_with("nginx-usher.conf", &usher));
    plan.write("snippets/usher-auth.conf", &example_with("nginx-auth.conf", &[]));
    for (name, address) in plan.apps {
        let app = [
            ("server 127.0.0.1:3000;", format!("server {address};")),
            ("listen 127.0.0.1:8000;", format!("listen {};", plan.listen)),
        ];
        plan.write(&format!("sites/{name}.conf"), &example_with("nginx.conf", &app).replace("notes", name));
    }
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = temporary.map(|kind| format!("{kind}_temp_path {folder}/{kind};")).join(" ");
    // Its workers are to reach the test's folder.
    let user = if is_root() { "user root;" } else { "" };
    let text = format!(
        "daemon off; {user} worker_processes 1; pid {folder}/pid; error_log {folder}/error.log info;\n\
         events {{}}\nhttp {{ access_log off; {temporary}\n{UNWISE}\nproxy_cache_path {folder}/cache keys_zone=all:1m;\n\
         include {folder}/sites/*.conf; }}\n"
    );
    let config = plan.write("config", &text);
    let mut command = Command::new("/usr/sbin/nginx");
    command.arg("-c").arg(&config).arg("-p").arg(plan.folder).args(["-e", "error.log"]);
    command
}

fn caddy(plan: &Plan<'_>) -> Command {
    let (certificate, key) = certificate();
    let usher = format!("https://usher.example.com:{} {{\n\tbind {}\n", plan.tls.port(), plan.tls.ip());
    let addresses = [
        ("forward_auth @asked 127.0.0.1:8080 {", format!("forward_auth @asked {} {{", plan.usher)),
        ("reverse_proxy 127.0.0.1:8080\n", format!("reverse_proxy {}\n", plan.usher)),
        ("usher.example.com {\n", format!("{usher}\ttls {} {}\n", certificate.display(), key.display())),
        (":8000 {", format!(":{} {{", plan.listen.port())),
        ("bind 127.0.0.1\n", format!("bind {}\n", plan.listen.ip())),
    ];
    let text = example_with("Caddyfile", &addresses);
    let (shared, app) = text.split_at(text.find("http://notes.").expect("the block of an app"));
    let apps = plan.apps.map(|(name, address)| {
        assert_eq!(app.matches("127.0.0.1:3000").count(), 1);
        app.replace("notes", name).replace("127.0.0.1:3000", &address.to_string())
    });
    let options = "{\n\tadmin off\n\tauto_https disable_redirects\n}\n";
    let config = plan.write("config", &format!("{options}{shared}{}", apps.concat()));
    let mut command = Command::new("/usr/bin/caddy");
    command.env("HOME", plan.folder).arg("run").arg("--config").arg(&config).args(["--adapter", "caddyfile"]);
    command
}

/// A certificate for usher's name, which is its own authority, and its key.
fn certificate() -> &'static (PathBuf, PathBuf) {
    static FILES: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    FILES.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let (certificate, key) = (folder.join("usher.example.com.pem"), folder.join("usher.example.com.key"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=usher.example.com", "-addext", "subjectAltName=DNS:usher.example.com"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .expect("openssl is installed");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        (certificate, key)
    })
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// A proxy, until dropped.
struct Proxy {
    child: Child,
    /// Where it listens for callers of the apps, and for those of usher.
    address: SocketAddr,
    tls: SocketAddr,
}

impl Proxy {
    /// Puts `notes` behind usher, and `wiki`, which is another app or the same.
    fn start(kind: Kind, folder: &Path, usher: SocketAddr, notes: SocketAddr, wiki: SocketAddr) -> Self {
        // An address of this machine that no other test listens on, so that the ports stay free until the proxy takes them.
        let [_, _, third, fourth] = std::process::id().to_be_bytes();
        let own = Ipv4Addr::new(127, 100 + u8::try_from(unique() % 100).expect("small"), third, fourth);
        let listeners = [(); 2].map(|()| TcpListener::bind((own, 0)).expect("a port"));
        let [address, tls] = listeners.map(|listener| listener.local_addr().expect("an address"));
        let plan = Plan { folder, listen: address, tls, usher, apps: [("notes", notes), ("wiki", wiki)] };
        let output = fs::File::create(folder.join("output")).expect("a file");
        let child = kind
            .command(&plan)
            .env_remove("HTTP_PROXY")
            .env_remove("http_proxy")
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a second handle"))
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("{kind:?}: {error}; `.ci/run` installs it"));
        let mut proxy = Self { child, address, tls };
        until(&format!("{kind:?} listens"), || {
            let ended = proxy.child.try_wait().expect("a child");
            let said = || fs::read_to_string(folder.join("output")).unwrap_or_default();
            assert!(ended.is_none(), "{kind:?} did not start: {}", said());
            TcpStream::connect(address).and_then(|_| TcpStream::connect(tls)).ok()
        });
        proxy
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Told to, and not killed, so that nginx ends its workers.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// The origin of web apps that usher grants reading.
const GRANTED: &str = "https://web.example.com";

/// Two apps behind a proxy that asks usher. `root` is an administrator.
struct Site {
    kind: Kind,
    address: SocketAddr,
    proxy: Proxy,
    /// The app that requests are for where nothing else is said.
    app: Small,
    wiki: Small,
    usher: Mutex<Serving>,
    _folder: tempfile::TempDir,
}

/// An answer through the proxy.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn read(text: String) -> Self {
        let text = text.trim_start_matches("HTTP/1.1 100 Continue\r\n\r\n");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP: {text:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    fn all(&self, name: &str) -> Vec<&str> {
        let headers = self.head.lines().filter_map(|line| line.split_once(':'));
        headers.filter(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }
}

impl Site {
    fn open(kind: Kind) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let usher = Serving::start(folder.path(), &["--trusted-proxy", "127.0.0.1", "--cors-origin", GRANTED]);
        assert!(create_admin(folder.path(), "root").status.success());
        let (app, wiki) = (Small::app(), Small::app());
        let proxy = Proxy::start(kind, folder.path(), usher.address, app.address, wiki.address);
        Self { kind, address: proxy.address, proxy, app, wiki, usher: Mutex::new(usher), _folder: folder }
    }

    fn usher(&self) -> std::sync::MutexGuard<'_, Serving> {
        self.usher.lock().expect("usher")
    }

    fn root(&self) -> Client {
        self.usher().sign_in("root")
    }

    fn user(&self, name: &str) -> Client {
        let usher = self.usher();
        assert_eq!(usher.register(name).status, 201);
        usher.sign_in(name)
    }

    /// Sends one request, and nothing after it.
    fn send(&self, method: &str, target: &str, headers: Headers<'_>, body: &[u8]) -> Answer {
        self.send_to("notes", method, target, headers, body)
    }

    /// The same to one of the apps.
    fn send_to(&self, app: &str, method: &str, target: &str, headers: Headers<'_>, body: &[u8]) -> Answer {
        let closes = !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("connection"));
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {app}.example.com\r\n");
        for (name, value) in headers.iter().chain(closes.then_some(&("Connection", "close"))) {
            text += &format!("{name}: {value}\r\n");
        }
        Answer::read(raw(self.address, [text.as_bytes(), b"\r\n", body].concat()))
    }

    /// The same with somebody's token.
    fn send_as(&self, who: &Client, method: &str, target: &str, headers: Headers<'_>, body: &[u8]) -> Answer {
        let bearer = bearer(who);
        self.send(method, target, &[&[("Authorization", bearer.as_str())], headers].concat(), body)
    }

    fn get_as(&self, who: &Client, target: &str) -> Answer {
        self.send_as(who, "GET", target, &[], b"")
    }

    /// Asserts that exactly one request came through, and returns it.
    #[track_caller]
    fn reached(&self, answer: &Answer) -> Reached {
        assert_eq!((answer.status, answer.body.as_str()), (200, "reached"), "{answer:?}");
        let mut all = self.app.take();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    #[track_caller]
    fn refused(&self, answer: &Answer, status: u16) {
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(self.app.take().is_empty(), "{answer:?}");
    }
}

fn bearer(who: &Client) -> String {
    format!("Bearer {}", who.token.as_deref().expect("a token"))
}

fn without_a_valid_token_the_app_is_not_reached(site: &Site) {
    let ada = site.user("ada");
    let token = ada.token.as_deref().unwrap();
    let (good, in_query, in_cookie) =
        (bearer(&ada), format!("/notes?access_token={token}"), format!("token={token}; session={token}"));
    let invalid = "Bearer error=\"invalid_token\"";
    let cases: [(&str, Headers<'_>, &str); 8] = [
        ("/", &[], "Bearer"),
        ("/", &[("Authorization", "")], "Bearer"),
        ("/", &[("Authorization", "Basic cm9vdDpyb290")], "Bearer"),
        ("/", &[("Authorization", "Bearer nonsense")], invalid),
        ("/", &[("Authorization", &good[..good.len() - 1])], invalid),
        ("/", &[("Cookie", &in_cookie), ("X-Authorization", &good), ("Proxy-Authorization", &good)], "Bearer"),
        ("/", &[("Remote-User", "root"), ("Remote-User-Id", "1"), ("Remote-Role", "admin")], "Bearer"),
        (&in_query, &[], "Bearer"),
    ];
    for (target, headers, challenge) in cases {
        let answer = site.send("GET", target, headers, b"");
        assert_eq!(answer.header("www-authenticate"), Some(challenge), "{headers:?}: {answer:?}");
        site.refused(&answer, 401);
    }
    for two in [[good.as_str(), "Bearer nonsense"], ["Bearer nonsense", &good], [&good, &good]] {
        let answer = site.send("GET", "/", &two.map(|value| ("Authorization", value)), b"");
        site.refused(&answer, if site.kind == Kind::Nginx { 400 } else { 401 });
    }
    for method in ["HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        site.refused(&site.send(method, "/notes", &[("Content-Length", "2")], b"hi"), 401);
    }
}

fn with_a_token_the_app_learns_who_calls(site: &Site) {
    let (root, ada) = (site.root(), site.user("Ada"));
    let unverified = format!("{}@unverified.invalid", ada.id);
    let root_id = root.id.to_string();

    let reached = site.reached(&site.send_as(&ada, "GET", "/notes?of=today", &[("Accept", "text/plain")], b""));
    assert_eq!((reached.method.as_str(), reached.target.as_str()), ("GET", "/notes?of=today"));
    assert_eq!(reached.caller(), ["ada", &ada.id.to_string(), &unverified, "user"]);
    assert_eq!((reached.all("host"), reached.all("accept")), (vec!["notes.example.com"], vec!["text/plain"]));
    assert!(reached.all("authorization").is_empty(), "the token is not for the app: {reached:?}");

    let reached = site.reached(&site.get_as(&root, "/"));
    assert_eq!(reached.caller(), ["root", &root_id, "root@example.com", "admin"]);
    let bare = [("authorization", root.token.as_deref().unwrap())];
    assert_eq!(site.reached(&site.send("GET", "/", &bare, b"")).caller()[1], root_id);
}

/// Every way to write a name so that an app may read it as the header, in three cases.
fn spellings(name: &str) -> BTreeSet<String> {
    let marks = "-_.!#$%&'*+^`|~";
    let mut spellings = BTreeSet::from([String::new()]);
    for (n, word) in name.split('-').enumerate() {
        let marks: Vec<String> = if n == 0 { vec![String::new()] } else { marks.chars().map(String::from).collect() };
        let longer = spellings.iter().flat_map(|start| marks.iter().map(move |mark| format!("{start}{mark}{word}")));
        spellings = longer.collect();
    }
    let cases = [str::to_ascii_lowercase, str::to_ascii_uppercase];
    spellings.iter().cloned().chain(cases.iter().flat_map(|case| spellings.iter().map(|text| case(text)))).collect()
}

fn no_spelling_of_a_forged_header_reaches_the_app(site: &Site) {
    let ada = site.user("ada");
    let (id, unverified) = (ada.id.to_string(), format!("{}@unverified.invalid", ada.id));
    let expected = ["ada", &id, &unverified, "user"];
    let names: Vec<String> = ["Remote-User", "Remote-User-Id", "Remote-Email", "Remote-Role"]
        .iter()
        .flat_map(|name| spellings(name))
        .collect();
    assert!(names.len() > 700 && names.iter().any(|name| name == "remote_user-id"));

    for names in names.chunks(90) {
        // Before the token and after it, and twice each.
        let forged: Vec<_> = names.iter().chain(names).map(|name| (name.as_str(), "forged")).collect();
        let bearer = bearer(&ada);
        for headers in
            [[&forged[..], &[("Authorization", &bearer)]], [&[("Authorization", bearer.as_str())], &forged[..]]]
        {
            let reached = site.reached(&site.send("GET", "/", &headers.concat(), b""));
            assert_eq!(reached.caller(), expected);
            assert!(!format!("{:?}", reached.headers).contains("forged"), "{reached:?}");
        }
    }
}

fn a_caller_cannot_have_the_headers_taken_away(site: &Site) {
    let ada = site.user("ada");
    let listed = "close, Remote-User, Remote-User-Id, Remote-Email, Remote-Role, X-Forwarded-For, X-Request-Id";
    for headers in [vec![("Connection", listed)], vec![("Connection", listed), ("Upgrade", "websocket, h2c")]] {
        let reached = site.reached(&site.send_as(&ada, "GET", "/", &headers, b""));
        assert_eq!(reached.caller()[..2], ["ada", ada.id.to_string().as_str()]);
        assert_eq!((reached.all("x-forwarded-for").len(), reached.all("x-request-id").len()), (1, 1), "{reached:?}");
    }
    let listed = [("Connection", "close, Authorization")];
    let answer = site.send_as(&ada, "GET", "/", &listed, b"");
    assert!(answer.status == 401 || site.reached(&answer).caller()[0] == "ada", "{answer:?}");
}

fn administrators_only_means_every_spelling_of_the_path(site: &Site) {
    let (root, ada) = (site.root(), site.user("ada"));
    let spellings = [
        "/admin",
        "/admin/",
        "/admin/users?x=1",
        "/ADMIN/users",
        "//admin/",
        "/./admin/",
        "/notes/../admin/",
        "/%61dmin/",
        "/%2fadmin/",
        "/notes/..%2fadmin/",
        "/admin%2fusers",
        "/admin;x=1/",
        "/admin.php",
        "/admin/../admin/",
        "http://notes.example.com/admin",
    ];
    for target in spellings {
        site.refused(&site.get_as(&ada, target), 403);
        site.refused(&site.send("GET", target, &[], b""), 401);
        assert_eq!(site.reached(&site.get_as(&root, target)).caller()[3], "admin", "{target}");
    }
    site.reached(&site.get_as(&ada, "/notes/admin"));
}

fn the_query_of_a_request_is_not_a_question_to_usher(site: &Site) {
    let ada = site.user("ada");
    for query in ["role=admin", "role=user&role=user", "x=1", "", "%00", "?", "role"] {
        let target = format!("/notes?{query}");
        let reached = site.reached(&site.get_as(&ada, &target));
        assert_eq!((reached.target.as_str(), reached.caller()[3]), (target.as_str(), "user"));
        site.refused(&site.get_as(&ada, &format!("/admin?{query}")), 403);
    }
    site.refused(&site.get_as(&ada, "/admin?role=user"), 403);
}

fn a_body_arrives_whole(site: &Site) {
    let ada = site.user("ada");
    let large: Vec<u8> = (0..1_048_576 * 2).map(|n: u32| n.to_le_bytes()[(n % 3) as usize]).collect();
    for body in [&b""[..], b"x", &large] {
        let length = body.len().to_string();
        let reached = site.reached(&site.send_as(&ada, "POST", "/notes", &[("Content-Length", &length)], body));
        assert!(reached.method == "POST" && reached.body == body, "{length}: {}", reached.body.len());

        let waits = [("Content-Length", length.as_str()), ("Expect", "100-continue")];
        assert!(site.reached(&site.send_as(&ada, "PATCH", "/notes", &waits, body)).body == body, "{length}");

        let chunks: Vec<u8> = body
            .chunks(60_000)
            .flat_map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat())
            .collect();
        let chunked = [&chunks[..], b"0\r\n\r\n"].concat();
        let headers = [("Transfer-Encoding", "chunked"), ("Content-Type", "application/octet-stream")];
        let reached = site.reached(&site.send_as(&ada, "PUT", "/notes", &headers, &chunked));
        assert!(reached.method == "PUT" && reached.body == body, "{length} chunked: {}", reached.body.len());
        assert_eq!((reached.caller()[0], reached.all("content-type")), ("ada", vec!["application/octet-stream"]));
    }
}

fn a_refused_body_is_not_the_next_request(site: &Site) {
    let ada = site.user("ada");
    let inner = "GET /smuggled HTTP/1.1\r\nHost: notes.example.com\r\nRemote-User: root\r\n\r\n";
    let refused =
        format!("POST /first HTTP/1.1\r\nHost: notes.example.com\r\nContent-Length: {}\r\n\r\n{inner}", inner.len());
    let second = format!(
        "GET /second HTTP/1.1\r\nHost: notes.example.com\r\nAuthorization: {}\r\nConnection: close\r\n\r\n",
        bearer(&ada)
    );

    let text = raw(site.address, format!("{refused}{second}"));

    assert!(text.starts_with("HTTP/1.1 401 "), "{text}");
    let targets: Vec<String> = site.app.take().into_iter().map(|reached| reached.target).collect();
    assert_eq!(targets, ["/second"]);
}

const PREFLIGHT: [(&str, &str); 3] = [
    ("Origin", "https://elsewhere.example:8443"),
    ("Access-Control-Request-Method", "PUT"),
    ("Access-Control-Request-Headers", "authorization,content-type"),
];

fn a_preflight_reaches_the_app_without_a_caller(site: &Site) {
    for target in ["/notes", "/admin/users"] {
        let forged =
            [("Remote-User", "root"), ("Remote_User", "root"), ("Remote-User-Id", "1"), ("Remote-Role", "admin")];
        for headers in [PREFLIGHT.to_vec(), [&PREFLIGHT[..], &forged, &[("Authorization", "Bearer x")]].concat()] {
            let reached = site.reached(&site.send("OPTIONS", target, &headers, b""));
            assert_eq!((reached.method.as_str(), reached.target.as_str()), ("OPTIONS", target));
            assert!(reached.is_anonymous(), "{reached:?}");
            for (name, value) in PREFLIGHT {
                assert_eq!(reached.all(name), [value]);
            }
        }
    }
}

fn what_is_no_preflight_needs_a_token(site: &Site) {
    let ada = site.user("ada");
    for headers in [
        &PREFLIGHT[..1],
        &PREFLIGHT[1..2],
        &[],
        &[("Origin", ""), PREFLIGHT[1]],
        &[PREFLIGHT[0], ("Access-Control-Request-Method", "")],
    ] {
        site.refused(&site.send("OPTIONS", "/notes", headers, b""), 401);
        assert_eq!(site.reached(&site.send_as(&ada, "OPTIONS", "/notes", headers, b"")).caller()[0], "ada");
    }
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONSX"] {
        let headers = [&PREFLIGHT[..], &[("X-HTTP-Method-Override", "OPTIONS")]].concat();
        site.refused(&site.send(method, "/notes", &headers, b""), 401);
    }
}

fn what_changes_acts_on_the_very_next_request(site: &Site) {
    let root = site.root();
    let names = ["ada", "bob", "cy", "dee"].map(|name| site.user(name));
    let [ada, bob, cy, dee] = &names;
    for who in &names {
        for _ in 0..3 {
            site.reached(&site.get_as(who, "/"));
        }
    }

    ada.send("POST", "/auth/logout", &[], None);
    site.refused(&site.get_as(ada, "/"), 401);
    root.put(&bob.me(), json!({"disabled": true}));
    site.refused(&site.get_as(bob, "/"), 401);
    root.delete(&cy.me());
    site.refused(&site.get_as(cy, "/"), 401);

    site.refused(&site.get_as(dee, "/admin"), 403);
    root.put(&dee.me(), json!({"username": "Ada2", "email": "dee@example.org", "role": "admin"}));
    let id = dee.id.to_string();
    assert_eq!(site.reached(&site.get_as(dee, "/admin")).caller(), ["ada2", &id, "dee@example.org", "admin"]);
    root.put(&dee.me(), json!({"role": "user"}));
    site.refused(&site.get_as(dee, "/admin"), 403);
}

fn without_usher_nobody_reaches_the_app(site: &Site) {
    let ada = site.user("ada");
    site.reached(&site.get_as(&ada, "/"));
    {
        let mut usher = site.usher();
        usher.child.kill().unwrap();
        usher.child.wait().unwrap();
    }
    for target in ["/", "/admin"] {
        for answer in [site.get_as(&ada, target), site.send("GET", target, &[], b"")] {
            assert!((500..600).contains(&answer.status), "{answer:?}");
            assert!(site.app.take().is_empty());
        }
    }

    // Nor does an answer that is neither yes nor no open the door, or one that names nobody let a forged name through.
    let other = |answer| {
        let (folder, usher, app) = (tempfile::tempdir().unwrap(), Small::start(answer), Small::app());
        let proxy = Proxy::start(site.kind, folder.path(), usher.address, app.address, app.address);
        let forged = "GET / HTTP/1.1\r\nHost: notes.example.com\r\nRemote-User: forged\r\nRemote-User-Id: forged\r\nConnection: close\r\n\r\n";
        let answer = Answer::read(raw(proxy.address, forged));
        assert!(!usher.take().is_empty(), "it was asked");
        (answer, app.take())
    };
    for answer in [
        "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
        "no HTTP\r\n\r\n",
    ] {
        let (through, reached) = other(answer);
        assert!(through.status >= 300 && reached.is_empty(), "{answer:?}: {through:?} {reached:?}");
    }
    let (_, reached) = other("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert!(!format!("{reached:?}").contains("forged"), "{reached:?}");
}

fn connections_to_usher_and_to_the_app_are_kept(site: &Site) {
    let yes = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nRemote-User: ada\r\n\r\n";
    let (folder, usher, app) = (tempfile::tempdir().unwrap(), Small::start(yes), Small::app());
    let proxy = Proxy::start(site.kind, folder.path(), usher.address, app.address, app.address);
    for _ in 0..10 {
        raw(proxy.address, "GET / HTTP/1.1\r\nHost: notes.example.com\r\nConnection: close\r\n\r\n");
    }
    assert_eq!((usher.take().len(), app.take().len()), (10, 10));
    for small in [usher, app] {
        assert!(small.connections.load(Ordering::SeqCst) < 5);
    }
}

fn usher_itself_is_not_reached(site: &Site) {
    let ada = site.user("ada");
    for target in ["/.usher/user", "/.usher/admin", "/api/v1/auth/verify", "/api/v1/auth/me"] {
        let answer = site.get_as(&ada, target);
        assert_eq!((answer.header("remote-user"), answer.header("www-authenticate")), (None, None), "{answer:?}");
        assert!(answer.status == 404 || answer.body == "reached", "{answer:?}");
    }
}

fn usher_and_the_app_know_the_client_and_the_request(site: &Site) {
    let ada = site.user("ada");
    let forged = "X-Forwarded-For: 203.0.113.7\r\nX-Request-Id: chosen-by-the-caller\r\nForwarded: for=203.0.113.7\r\n";
    let request = format!(
        "GET / HTTP/1.1\r\nHost: notes.example.com\r\nAuthorization: {}\r\n{forged}Connection: close\r\n\r\n",
        bearer(&ada)
    );

    let text = raw_from(Ipv4Addr::new(127, 0, 0, 2), site.address, &request);

    let reached = site.reached(&Answer::read(text));
    assert_eq!(reached.all("x-forwarded-for"), ["127.0.0.2"]);
    assert_eq!(
        (reached.all("x-forwarded-proto"), reached.all("x-forwarded-host")),
        (vec!["http"], vec!["notes.example.com"])
    );
    let id = reached.all("x-request-id");
    assert!(id.len() == 1 && id[0].len() > 30, "{id:?}");
    let usher = site.usher();
    usher.until_logged(id[0]);
    let log = usher.log();
    let line = log.lines().find(|line| line.contains(id[0])).unwrap();
    assert!(line.contains("/api/v1/auth/verify") && line.contains("127.0.0.2"), "{line}");
}

/// The same as `raw`, from another address of this machine.
fn raw_from(source: Ipv4Addr, address: SocketAddr, request: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind((source, 0).into()).expect("an address of this machine");
        socket.connect(address).await.and_then(|stream| stream.into_std()).expect("the proxy listens")
    });
    exchange(stream, request)
}

fn exchange(mut stream: TcpStream, request: &str) -> String {
    stream
        .set_nonblocking(false)
        .and_then(|()| stream.set_read_timeout(Some(Duration::from_secs(10))))
        .expect("a timeout");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn a_websocket_needs_a_token_and_no_other_protocol_is_switched_to(site: &Site) {
    let ada = site.user("ada");
    let (token, key) = (bearer(&ada), "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
    let upgrade = |protocol: &str, token: &str| {
        format!(
            "GET /live HTTP/1.1\r\nHost: notes.example.com\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: {protocol}\r\n\
             HTTP2-Settings: AAMAAABkAAQAAP__\r\n{key}{token}\r\n"
        )
    };

    let mut stream = TcpStream::connect(site.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(upgrade("WebSocket", &format!("Authorization: {token}\r\n")).as_bytes()).unwrap();
    assert_eq!(read_line(&mut stream).as_deref(), Some("HTTP/1.1 101 Switching Protocols"));
    while !read_line(&mut stream).unwrap().is_empty() {}
    stream.write_all(b"hello").unwrap();
    assert_eq!(read_bytes(&mut stream, 5).unwrap(), b"hello");
    let reached = site.app.take().remove(0);
    assert_eq!((reached.caller()[0], reached.all("sec-websocket-version")), ("ada", vec!["13"]));

    for (protocol, token, status) in [("websocket", "", 401), ("h2c", "", 401)] {
        let text = format!("{}\r\n", upgrade(protocol, &format!("{token}Connection: close\r\n")).trim_end());
        site.refused(&Answer::read(raw(site.address, format!("{text}\r\n"))), status);
    }
    // One that is not what it seems: named after another, or with our headers among those to be taken away.
    for headers in
        ["Upgrade: h2c\r\nUpgrade: websocket\r\n", "Upgrade: websocket\r\nConnection: Remote-User-Id, Upgrade\r\n"]
    {
        let mut stream = TcpStream::connect(site.address).unwrap();
        let head =
            format!("GET / HTTP/1.1\r\nHost: notes.example.com\r\nConnection: Upgrade, Remote-User\r\n{headers}{key}");
        stream.write_all(format!("{head}Authorization: {token}\r\n\r\n").as_bytes()).unwrap();
        read_line(&mut stream);
        let reached = site.app.take().remove(0);
        assert_eq!(reached.caller()[..2], ["ada", ada.id.to_string().as_str()]);
        assert!(!format!("{:?}", reached.all("upgrade")).contains("h2c"), "{reached:?}");
    }
    for protocol in ["h2c", "h2c, websocket", "TLS/1.2"] {
        let more = format!("Authorization: {token}\r\nConnection: close\r\n");
        let reached = site.reached(&Answer::read(raw(site.address, upgrade(protocol, &more))));
        assert!(reached.all("upgrade").is_empty(), "{reached:?}");
    }
}

fn nothing_but_a_get_begins_a_websocket(site: &Site) {
    let upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket")];
    let headers = [&PREFLIGHT[..], &upgrade].concat();
    let text = headers.iter().fold(String::new(), |text, (name, value)| text + name + ": " + value + "\r\n");
    let ada = site.user("ada");
    for authorization in [String::new(), format!("Authorization: {}\r\n", bearer(&ada))] {
        let request = format!("OPTIONS / HTTP/1.1\r\nHost: notes.example.com\r\n{text}{authorization}\r\n");
        let mut stream = TcpStream::connect(site.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();

        stream.write_all(request.as_bytes()).unwrap();

        assert_eq!(read_line(&mut stream).as_deref(), Some("HTTP/1.1 200 OK"));
        let reached = site.app.take().remove(0);
        assert!(reached.all("upgrade").is_empty() && reached.is_anonymous(), "{reached:?}");
    }
    let post = [&upgrade[..], &[("Content-Length", "0")]].concat();
    let reached =
        site.reached(&site.send_as(&ada, "POST", "/", &[&post[..], &[("Connection", "close")]].concat(), b""));
    assert!(reached.all("upgrade").is_empty(), "{reached:?}");
}

fn a_refusal_can_be_read_by_a_page_of_an_origin_that_usher_grants(site: &Site) {
    let ada = site.user("ada");
    let bearer = bearer(&ada);
    for (target, token, status, challenge) in [
        ("/", None, 401, Some("Bearer")),
        ("/", Some("Bearer nonsense"), 401, Some("Bearer error=\"invalid_token\"")),
        ("/admin", Some(bearer.as_str()), 403, None),
    ] {
        for (origin, granted) in
            [(Some(GRANTED), Some(GRANTED)), (Some("https://elsewhere.example"), None), (None, None)]
        {
            let headers: Vec<_> = origin
                .map(|origin| ("Origin", origin))
                .into_iter()
                .chain(token.map(|token| ("Authorization", token)))
                .collect();

            let answer = site.send("GET", target, &headers, b"");

            site.refused(&answer, status);
            assert_eq!(answer.all("access-control-allow-origin"), Vec::from_iter(granted), "{answer:?}");
            let exposed = answer.header("access-control-expose-headers").unwrap_or_default();
            assert_eq!(exposed.contains("WWW-Authenticate"), granted.is_some(), "{answer:?}");
            assert_eq!(answer.all("www-authenticate"), Vec::from_iter(challenge), "{answer:?}");
            assert_eq!(
                (answer.all("vary"), answer.all("cache-control")),
                (vec!["Origin"], vec!["no-store"]),
                "{answer:?}"
            );
        }
    }
    let answer = site.send_as(&ada, "GET", "/", &[("Origin", GRANTED)], b"");
    assert!(
        answer.all("access-control-allow-origin").is_empty(),
        "the app's answers are the app's to grant: {answer:?}"
    );
    site.reached(&answer);
}

fn what_the_app_refuses_itself_is_passed_on_as_it_is(site: &Site) {
    let yes = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nRemote-User: ada\r\n\r\n";
    let no = "HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\nAccess-Control-Allow-Origin: *\r\n\r\nnot yours";
    let (folder, usher, app) = (tempfile::tempdir().unwrap(), Small::start(yes), Small::start(no));
    let proxy = Proxy::start(site.kind, folder.path(), usher.address, app.address, app.address);

    let answer = raw(proxy.address, "GET / HTTP/1.1\r\nHost: notes.example.com\r\nConnection: close\r\n\r\n");

    let answer = Answer::read(answer);
    assert_eq!((answer.status, answer.body.as_str()), (403, "not yours"), "{answer:?}");
    assert_eq!((answer.all("access-control-allow-origin"), answer.header("vary")), (vec!["*"], None), "{answer:?}");
}

fn two_apps_are_told_apart_by_their_names(site: &Site) {
    let ada = site.user("ada");
    let token = bearer(&ada);
    let token: Headers<'_> = &[("Authorization", &token)];
    for (name, app, other) in [("notes", &site.app, &site.wiki), ("wiki", &site.wiki, &site.app)] {
        assert_eq!(site.send_to(name, "GET", "/", &[], b"").status, 401);
        assert_eq!(site.send_to(name, "GET", "/admin", token, b"").status, 403);
        assert!(app.take().is_empty());

        assert_eq!(site.send_to(name, "GET", "/page", token, b"").body, "reached");
        assert_eq!(site.send_to(name, "OPTIONS", "/page", &PREFLIGHT, b"").body, "reached");

        let [page, preflight] = app.take().try_into().unwrap();
        assert_eq!((page.caller()[0], page.all("host")), ("ada", vec![format!("{name}.example.com").as_str()]));
        assert!(preflight.is_anonymous() && other.take().is_empty(), "{preflight:?}");
    }
}

/// With curl, which looks at the certificate.
fn usher_has_a_name_of_its_own_with_tls(site: &Site) {
    let (certificate, _) = certificate();
    let (ip, port) = (site.proxy.tls.ip(), site.proxy.tls.port());
    let call = |path: &str, more: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--max-time", "10", "--noproxy", "*", "--interface", "127.0.0.2"]);
        command.arg("--cacert").arg(certificate).args(["--resolve", &format!("usher.example.com:{port}:{ip}")]);
        command.args(more).arg(format!("https://usher.example.com:{port}{path}"));
        let output = command.output().expect("curl is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let ada = site.user("ada");

    let login = json!({"email": "ada@example.com", "password": crate::support::PASSWORD}).to_string();
    let forged = ["--header", "X-Forwarded-For: 203.0.113.7", "--header", "Content-Type: application/json"];
    let signed_in = call("/api/v1/auth/login", &[&forged[..], &["--data", &login]].concat());

    let signed_in: serde_json::Value = serde_json::from_str(&signed_in).unwrap();
    let token = format!("Authorization: Bearer {}", signed_in["token"].as_str().unwrap());
    let sessions = call("/api/v1/auth/sessions", &["--header", &token]);
    let sessions: serde_json::Value = serde_json::from_str(&sessions).unwrap();
    let own = sessions["sessions"].as_array().unwrap().iter().find(|session| session["current"] == true).unwrap();
    assert_eq!((&own["ip"], &signed_in["user"]["id"]), (&"127.0.0.2".into(), &ada.id.into()), "{sessions}");
    assert!(site.app.take().is_empty() && site.wiki.take().is_empty());
}

/// Traefik is not among Debian's packages. Its example is held to name what the others were run with.
#[test]
fn the_example_for_traefik_names_the_same_headers_and_paths() {
    let text = fs::read_to_string(example("traefik.yml")).unwrap();
    for name in ["Remote-User", "Remote-User-Id", "Remote-Email", "Remote-Role"] {
        assert!(text.contains(&format!("          - {name}\n")), "{name} is copied");
        let removed: Vec<String> = spellings(name)
            .into_iter()
            .filter(|spelling| {
                spelling.starts_with("Remote")
                    && !spelling.contains(|c: char| !(c.is_alphanumeric() || "-_.".contains(c)))
            })
            .collect();
        for spelling in removed {
            assert!(text.contains(&format!("          {spelling}: \"\"\n")), "{spelling} is removed");
        }
    }
    assert_eq!(text.matches("          - Authorization\n          - Origin\n").count(), 2, "usher learns the origin");
    assert!(text.contains("middlewares: [forget-caller, forget-token, forget-upgrade]\n"), "of preflights");
    for role in ["user", "admin"] {
        assert!(text.contains(&format!("http://127.0.0.1:8080/api/v1/auth/verify?role={role}")), "{role}");
    }
}
