//! What stands between proxy and usher: connections, IP addresses, names, TLS, and usher being away.

use super::{Answer, Headers, PREFLIGHT, Proxy, Site, Small, bearer, certificate, example, spellings};
use crate::support::raw;
use serde_json::json;
use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::Command,
    sync::atomic::Ordering,
    time::Duration,
};

behind_each_proxy! {
    without_usher_nobody_reaches_the_app,
    connections_to_usher_and_to_the_app_are_kept,
    usher_itself_is_not_reached,
    usher_and_the_app_know_the_client_and_the_request,
    two_apps_are_told_apart_by_their_names,
    usher_has_a_name_of_its_own_with_tls,
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
