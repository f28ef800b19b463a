//! Real nginx, Caddy and Traefik with TLS, configured by the very files of `examples/proxies`, in which nothing but ports and
//! certificates is replaced: usher and two apps on unrelated names behind each.

use super::{binary::until, unique};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use std::{
    fs,
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, OnceLock},
    time::Duration,
};

/// The host of usher, and those of the apps.
pub const AUTH: &str = "auth.example.com";
pub const NOTES: &str = "notes.example.com";
pub const WIKI: &str = "wiki.example.net";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Nginx,
    Caddy,
    Traefik,
}

/// A proxy, until dropped.
pub struct Proxy {
    child: Child,
    /// Where it listens: browsers must be told that the three hosts are here.
    pub https: SocketAddr,
    pub http: SocketAddr,
}

/// Where everything is that an example names.
struct Plan<'p> {
    folder: &'p Path,
    https: SocketAddr,
    http: SocketAddr,
    usher: SocketAddr,
    apps: [(&'static str, SocketAddr); 2],
}

impl Proxy {
    /// Puts usher and the two apps, which may be the same, behind a proxy. All its files are in the folder; it logs whatever it
    /// can, there.
    pub fn start(kind: Kind, folder: &Path, usher: SocketAddr, notes: SocketAddr, wiki: SocketAddr) -> Self {
        // An address of this machine that no other test listens on, so that the ports stay free until the proxy takes them.
        let [_, _, third, fourth] = std::process::id().to_be_bytes();
        let own = Ipv4Addr::new(127, 100 + u8::try_from(unique() % 100).expect("small"), third, fourth);
        let listeners = [(); 2].map(|()| TcpListener::bind((own, 0)).expect("a port"));
        let [https, http] = listeners.map(|listener| listener.local_addr().expect("an address"));
        let plan = Plan { folder, https, http, usher, apps: [(NOTES, notes), (WIKI, wiki)] };
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
        let mut proxy = Self { child, https, http };
        until(&format!("{kind:?} listens"), || {
            let ended = proxy.child.try_wait().expect("a child");
            let said = || fs::read_to_string(folder.join("output")).unwrap_or_default();
            assert!(ended.is_none(), "{kind:?} did not start: {}", said());
            // None of its sites. Traefik listens before it has read its files, and answers 404 until then.
            let answer = proxy.try_raw("GET /ready HTTP/1.1\r\nHost: ready.invalid\r\nConnection: close\r\n\r\n");
            answer.filter(|answer| answer.starts_with("HTTP/1.1 ") && !answer.starts_with("HTTP/1.1 404"))
        });
        proxy
    }

    /// Connects as a browser does that opens a host.
    pub fn connect(&self, host: &str) -> Tls {
        tls(TcpStream::connect(self.https).expect("the proxy listens"), host)
    }

    /// Sends bytes as they are to a host, and reads until the other side closes or says nothing for ten seconds.
    pub fn raw(&self, host: &str, bytes: impl AsRef<[u8]>) -> String {
        exchange(self.connect(host), bytes.as_ref())
    }

    /// The same from another IP address of this machine.
    pub fn raw_from(&self, source: IpAddr, host: &str, bytes: impl AsRef<[u8]>) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let stream = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
            socket.bind((source, 0).into()).expect("an address of this machine");
            socket.connect(self.https).await.and_then(|stream| stream.into_std()).expect("the proxy listens")
        });
        stream.set_nonblocking(false).expect("it can");
        exchange(tls(stream, host), bytes.as_ref())
    }

    fn try_raw(&self, request: &str) -> Option<String> {
        Some(exchange(tls(TcpStream::connect(self.https).ok()?, AUTH), request.as_bytes()))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Told to, and not killed, so that nginx ends its workers.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

pub type Tls = StreamOwned<ClientConnection, TcpStream>;

fn tls(stream: TcpStream, host: &str) -> Tls {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let config = CONFIG.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_file(&certificates().authority).expect("a certificate");
        roots.add(authority).expect("an authority");
        Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
    });
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    stream.set_nodelay(true).expect("it can");
    let name = ServerName::try_from(host.to_owned()).expect("a name");
    StreamOwned::new(ClientConnection::new(config.clone(), name).expect("a connection"), stream)
}

fn exchange(mut stream: Tls, bytes: &[u8]) -> String {
    let _ = stream.write_all(bytes).and_then(|()| stream.flush()); // the other side may close before it has read all
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// What the proxies show, and who vouches for it.
pub struct Certificates {
    pub authority: PathBuf,
    /// For the three hosts.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Certificates of an authority that the tests make up.
pub fn certificates() -> &'static Certificates {
    static FILES: OnceLock<Certificates> = OnceLock::new();
    FILES.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("certificates");
        fs::create_dir_all(&folder).expect("a folder");
        let [authority, certificate, key] =
            ["authority.pem", "certificate.pem", "key.pem"].map(|name| folder.join(name));
        let authority_key = folder.join("authority-key.pem");
        let new = |certificate: &Path, key: &Path, arguments: &[&str]| {
            let made = Command::new("openssl")
                .args([
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:prime256v1",
                    "-nodes",
                    "-days",
                    "2",
                ])
                .arg("-out")
                .arg(certificate)
                .arg("-keyout")
                .arg(key)
                .args(arguments)
                .output()
                .expect("openssl is installed");
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        };
        new(&authority, &authority_key, &["-subj", "/CN=An authority for tests"]);
        let [signer, signer_key] = [&authority, &authority_key].map(|path| path.to_str().expect("text"));
        let names = format!("subjectAltName=DNS:{AUTH},DNS:{NOTES},DNS:{WIKI}");
        let signed = ["-CA", signer, "-CAkey", signer_key, "-subj", "/CN=Hosts for tests", "-addext", &names];
        new(&certificate, &key, &[&signed[..], &["-addext", "basicConstraints=critical,CA:FALSE"]].concat());
        Certificates { authority, certificate, key }
    })
}

/// The text of an example with some of it replaced, all of which stands in it.
fn example(name: &str, changes: &[(&str, String)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/proxies").join(name);
    let text = fs::read_to_string(path).expect("an example");
    changes.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{name}: {from}");
        text.replace(from, to)
    })
}

impl Plan<'_> {
    /// Writes a file into the folder.
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, text).expect("a file");
        path
    }

    /// Writes the example of an app into the folder, once for each.
    fn write_apps(&self, from: &str, to: &str, changes: &[(&str, String)]) {
        for (host, address) in self.apps {
            let app = [(NOTES, host.to_owned()), ("127.0.0.1:3000", address.to_string())];
            self.write(
                &format!("{to}/{host}.{}", from.rsplit('.').next().expect("an end")),
                &example(from, &[changes, &app].concat()),
            );
        }
    }
}

impl Kind {
    /// Writes the examples into a folder, beside what a server needs to run there, and says how to start it.
    fn command(self, plan: &Plan<'_>) -> Command {
        match self {
            Self::Nginx => nginx(plan),
            Self::Caddy => caddy(plan),
            Self::Traefik => traefik(plan),
        }
    }
}

/// What somebody may have set for all their sites, and must not matter for these.
const UNWISE: &str = "underscores_in_headers on; ignore_invalid_headers off; \
                      proxy_cache all; proxy_cache_valid any 10m; proxy_ignore_headers Cache-Control;";

fn nginx(plan: &Plan<'_>) -> Command {
    let folder = plan.folder.display();
    let common = [
        ("listen 443 ssl", format!("listen {} ssl", plan.https)),
        ("listen 80;", format!("listen {};", plan.http)),
        ("fullchain.pem;", "certificate.pem;".to_owned()),
        ("privkey.pem;", "key.pem;".to_owned()),
    ];
    let with = |more: &[(&'static str, String)]| [&common[..], more].concat();
    let certificates = certificates().authority.parent().expect("a folder").display().to_string();
    let usher = [
        ("server 127.0.0.1:8080;", format!("server {};", plan.usher)),
        ("/etc/letsencrypt/live/auth.example.com", certificates.clone()),
    ];
    plan.write("sites/usher.conf", &example("nginx/usher.conf", &with(&usher)));
    plan.write("snippets/usher-app.conf", &example("nginx/usher-app.conf", &[]));
    let app = with(&[("/etc/letsencrypt/live/notes.example.com", certificates)]);
    plan.write_apps("nginx/notes.conf", "sites", &app);
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = temporary.map(|kind| format!("{kind}_temp_path {folder}/{kind};")).join(" ");
    // Its workers are to reach the test's folder.
    let user = if is_root() { "user root;" } else { "" };
    let text = format!(
        "daemon off; {user} worker_processes 1; pid {folder}/pid; error_log {folder}/error.log info;\n\
         events {{}}\nhttp {{ access_log {folder}/access.log; {temporary}\n{UNWISE}\n\
         proxy_cache_path {folder}/cache keys_zone=all:1m;\ninclude {folder}/sites/*.conf; }}\n"
    );
    let config = plan.write("config", &text);
    let mut command = Command::new("/usr/sbin/nginx");
    command.arg("-c").arg(&config).arg("-p").arg(plan.folder).args(["-e", "error.log"]);
    command
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn caddy(plan: &Plan<'_>) -> Command {
    let Certificates { certificate, key, .. } = certificates();
    let more = format!("\ttls {} {}\n\tlog\n", certificate.display(), key.display());
    let options = format!(
        "{{\n\tadmin off\n\tdefault_bind {}\n\thttps_port {}\n\thttp_port {}\n",
        plan.https.ip(),
        plan.https.port(),
        plan.http.port()
    );
    let shared = [
        ("\n{\n", format!("\n{options}")),
        ("127.0.0.1:8080", plan.usher.to_string()),
        ("\nauth.example.com {\n", format!("\nauth.example.com {{\n{more}")),
    ];
    let config = plan.write("Caddyfile", &example("caddy/Caddyfile", &shared));
    plan.write_apps(
        "caddy/notes.caddy",
        "apps",
        &[("\nnotes.example.com {\n", format!("\nnotes.example.com {{\n{more}"))],
    );
    let mut command = Command::new("/usr/bin/caddy");
    command.env("HOME", plan.folder).arg("run").arg("--config").arg(&config).args(["--adapter", "caddyfile"]);
    command
}

fn traefik(plan: &Plan<'_>) -> Command {
    let (folder, Certificates { certificate, key, .. }) = (plan.folder.display(), certificates());
    let settings = [
        ("address: :443", format!("address: {}", plan.https)),
        ("address: :80", format!("address: {}", plan.http)),
        ("tls: {certResolver: letsencrypt}", "tls: {}".to_owned()),
        ("/etc/traefik/", format!("{folder}/")),
        // It waits two seconds before it uses what it has read.
        ("providers:\n", "providers:\n  providersThrottleDuration: 10ms\n".to_owned()),
    ];
    let more = format!(
        "global: {{checkNewVersion: false}}\naccessLog: {{filePath: {folder}/access.log}}\nlog: {{level: DEBUG}}\n"
    );
    let config = plan.write("traefik.yml", &(example("traefik/traefik.yml", &settings) + &more));
    plan.write("apps/usher.yml", &example("traefik/usher.yml", &[("127.0.0.1:8080", plan.usher.to_string())]));
    plan.write_apps("traefik/notes.yml", "apps", &[]);
    let files =
        format!("tls:\n  certificates:\n    - {{certFile: {}, keyFile: {}}}\n", certificate.display(), key.display());
    let ready = "http: {routers: {ready: {rule: Host(`ready.invalid`), service: noop@internal}}}\n";
    plan.write("apps/more.yml", &(files + ready));
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a folder");
    let mut command = Command::new(target.join("traefik/venv/bin/traefik"));
    command.arg(format!("--configFile={}", config.display()));
    command
}
