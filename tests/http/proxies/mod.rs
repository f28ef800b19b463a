//! What `examples/proxies/` shows is so: the very files, on real nginx and real Caddy, between callers, the real
//! executable and a small app that keeps what reaches it.

use crate::support::{
    Client,
    binary::{Serving, create_admin, until},
    probes::Probes,
    raw, unique,
};
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
};

/// Runs each fact behind each proxy.
macro_rules! behind_each_proxy {
    ($($fact:ident,)*) => {
        mod behind_nginx {
            $(#[test] fn $fact() { super::$fact(&crate::proxies::Site::open(crate::proxies::Kind::Nginx)); })*
        }
        mod behind_caddy {
            $(#[test] fn $fact() { super::$fact(&crate::proxies::Site::open(crate::proxies::Kind::Caddy)); })*
        }
    };
}

mod callers;
mod requests;
mod usher;

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
        HEADERS.iter().chain(&["authorization", "remote-name", "remote-groups"]).all(|name| self.all(name).is_empty())
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
        for name in ["notes", "wiki"] {
            usher.add_app(name, &format!("http://{name}.example.com"), "everyone");
        }
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

const PREFLIGHT: [(&str, &str); 3] = [
    ("Origin", "https://elsewhere.example:8443"),
    ("Access-Control-Request-Method", "PUT"),
    ("Access-Control-Request-Headers", "authorization,content-type"),
];
