//! Native clients, which show an app token: curl, git, and rclone by WebDAV.

use super::{NOTES, Site, WIKI};
use crate::support::{
    Client,
    binary::until,
    proxies::{Proxy, certificates},
    tunnel,
};
use base64ct::{Base64, Encoding};
use serde_json::json;
use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

behind_each_proxy! {
    an_app_token_opens_its_app_and_does_not_reach_it,
    curl_git_and_rclone_work_with_an_app_token_and_with_nothing_else,
}

pub const BASIC: &str = "Basic realm=\"app token\", charset=\"UTF-8\"";

/// An app token of somebody for the notes.
fn app_token(who: &Client) -> String {
    let made = who.post(&format!("{}/app-tokens", who.me()), json!({"name": "client", "app_id": 1}));
    made.is(201, "").json()["token"].as_str().expect("a token").to_owned()
}

fn basic(token: &str) -> String {
    format!("Basic {}", Base64::encode_string(format!("any:{token}").as_bytes()))
}

fn an_app_token_opens_its_app_and_does_not_reach_it(site: &Site) {
    let token = app_token(&site.user("ada"));
    let refused = site.send("GET", "/", &[], b"");
    site.refused(&refused, 401);
    assert_eq!(refused.header("www-authenticate"), Some(BASIC), "{refused:?}");
    let by_script = site.send("GET", "/", &[("Sec-Fetch-Mode", "cors")], b"");
    assert_eq!(by_script.all("www-authenticate"), ["Bearer"], "a browser would show a dialog");

    for shown in [basic(&token), format!("Bearer {token}")] {
        let headers = [("Authorization", shown.as_str())];
        let reached = site.reached(&site.send("PROPFIND", "/", &headers, b""));
        assert_eq!((reached.method.as_str(), reached.caller()[0]), ("PROPFIND", "ada"));
        assert!(reached.all("authorization").is_empty() && !format!("{reached:?}").contains(&token), "{reached:?}");
        let elsewhere = site.send_to(WIKI, "GET", "/", &headers, b"");
        assert_eq!((elsewhere.status, site.wiki.take().len()), (401, 0), "{elsewhere:?}");
        let forged = [headers[0], ("Origin", "https://elsewhere.example"), ("Content-Length", "0")];
        let answer = site.send("POST", "/", &forged, b"");
        assert_eq!(
            (answer.status, site.app.take().len()),
            if shown.starts_with("Bearer") { (200, 1) } else { (403, 0) }
        );
    }
    site.refused(&site.send("GET", "/", &[("Authorization", &basic("ushp_x"))], b""), 401);
}

/// A server of files by WebDAV, until dropped; it knows no tokens.
struct Files {
    child: Child,
    address: SocketAddr,
}

impl Files {
    fn serve(folder: &Path) -> Self {
        let log = folder.with_extension("log");
        let child = Command::new("rclone")
            .args(["serve", "webdav", "--config", "", "--addr", "127.0.0.1:0"])
            .arg(folder)
            .stdin(Stdio::null())
            .stderr(fs::File::create(&log).expect("a file"))
            .spawn()
            .expect("`.ci/run` installs rclone");
        let mut files = Self { child, address: ([127, 0, 0, 1], 0).into() };
        files.address = until("rclone serves", || {
            let text = fs::read_to_string(&log).expect("a log");
            let (_, rest) = text.split_once("http://")?;
            rest.split_once('/').and_then(|(address, _)| address.parse().ok())
        });
        files
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that meets the hosts where the proxy is, and trusts its certificates.
fn client(program: &str, home: &Path, tunnel: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").expect("a path"))
        .env("HOME", home)
        .env("HTTPS_PROXY", tunnel)
        .env("https_proxy", tunnel)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_SSL_CAINFO", &certificates().authority)
        .stdin(Stdio::null())
        .current_dir(home);
    command
}

#[track_caller]
fn done(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("it runs; `.ci/run` installs it");
    assert!(status.success(), "{command:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8_lossy(&stdout).into_owned()
}

#[track_caller]
fn fails(command: &mut Command) {
    let output = command.output().expect("it runs; `.ci/run` installs it");
    assert!(!output.status.success(), "{command:?}");
}

/// A bare repository with one commit, as files that any server can serve (`git help update-server-info`).
fn make_repository(folder: &Path) {
    let git = |args: &[&str]| {
        let mut command = client("git", folder, "");
        done(command.args(["-c", "user.name=x", "-c", "user.email=x@example.com"]).args(args));
    };
    git(&["init", "-q", "poems"]);
    fs::write(folder.join("poems/poem.txt"), "a line").expect("it can be written");
    git(&["-C", "poems", "add", "poem.txt"]);
    git(&["-C", "poems", "commit", "-q", "-m", "a line"]);
    git(&["clone", "-q", "--bare", "poems", "repository.git"]);
    git(&["-C", "repository.git", "update-server-info"]);
}

fn curl_git_and_rclone_work_with_an_app_token_and_with_nothing_else(site: &Site) {
    // given: files behind the proxy, where the notes were
    let ada = site.user("ada");
    let (token, home) = (app_token(&ada), tempfile::tempdir().unwrap());
    let served = home.path().join("served");
    fs::create_dir(&served).unwrap();
    make_repository(&served);
    let files = Files::serve(&served);
    let folder = home.path().join("proxy");
    fs::create_dir(&folder).unwrap();
    let proxy = Proxy::start(site.kind, &folder, site.usher().address, files.address, files.address);
    let tunnel = tunnel::to(proxy.https);
    let run = |program: &str| client(program, home.path(), &tunnel);
    let url = format!("https://{NOTES}");

    // curl
    let curl = |more: &[&str]| {
        let mut command = run("curl");
        command.args(["-sS", "--fail", "--cacert"]).arg(&certificates().authority).args(more);
        command.arg(format!("{url}/poems/poem.txt"));
        command
    };
    let (right, wrong) = (format!("any:{token}"), format!("any:{}", token.replace("ushp_", "ushp_x")));
    for scheme in ["--basic", "--anyauth"] {
        assert_eq!(done(&mut curl(&["-u", &right, scheme])), "a line", "{scheme}");
        fails(&mut curl(&["-u", &wrong, scheme]));
    }
    fails(&mut curl(&[]));

    // git, which shows nothing before it is asked
    let clone = |credentials: &str, into: &str| {
        let mut command = run("git");
        command.args(["clone", "-q", &format!("https://{credentials}@{NOTES}/repository.git"), into]);
        command
    };
    done(&mut clone(&right, "cloned"));
    assert_eq!(fs::read_to_string(home.path().join("cloned/poem.txt")).unwrap(), "a line");
    fails(&mut clone(&wrong, "not-cloned"));

    // rclone, which also writes
    let obscured = |secret: &str| done(run("rclone").args(["obscure", secret])).trim().to_owned();
    let copy = |secret: &str, from: &str, to: &str| {
        let remote = format!(":webdav,url=\"{url}\",user=any,pass={}:", obscured(secret));
        let place = |place: &str| place.replace("REMOTE:", &remote);
        let mut command = run("rclone");
        command.args(["copy", "--config", "", "--retries", "1", "--low-level-retries", "1", "--ca-cert"]);
        command.arg(&certificates().authority).arg(place(from)).arg(place(to));
        command
    };
    fs::create_dir(home.path().join("mine")).unwrap();
    fs::write(home.path().join("mine/new.txt"), "another line").unwrap();
    done(&mut copy(&token, "mine", "REMOTE:uploaded"));
    assert_eq!(fs::read_to_string(served.join("uploaded/new.txt")).unwrap(), "another line");
    done(&mut copy(&token, "REMOTE:uploaded", "back"));
    assert_eq!(fs::read_to_string(home.path().join("back/new.txt")).unwrap(), "another line");
    fails(&mut copy(&wrong[4..], "REMOTE:uploaded", "nowhere"));

    // and nothing more, once it is revoked
    ada.delete(&format!("{}/app-tokens/1", ada.me())).is(204, "");
    fails(&mut curl(&["-u", &right]));
    fails(&mut clone(&right, "not-cloned"));
    fails(&mut copy(&token, "REMOTE:uploaded", "nowhere"));
}
