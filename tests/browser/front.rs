//! A proxy with TLS before usher and its apps.

use crate::support::binary::until;
use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

pub struct Front {
    /// Where Chromium finds each name.
    pub resolve: Vec<String>,
    /// The SHA-256 of the certificate's public key, in Base64, by which Chromium trusts it.
    pub key_hash: String,
    child: Child,
    _folder: TempDir,
}

impl Front {
    /// For the names that stand in the `Caddyfile`.
    pub fn start(usher: SocketAddr, names: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let key_hash = certify(folder.path(), names);
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let child = Command::new("caddy")
            .args(["run", "--adapter", "caddyfile", "--config"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/Caddyfile"))
            .current_dir(folder.path())
            .env("HOME", folder.path())
            .env("PORT", port.to_string())
            .env("USHER", usher.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Caddy is installed");
        let resolve = names.iter().map(|name| format!("MAP {name} 127.0.0.1:{port}")).collect();
        let front = Self { resolve, key_hash, child, _folder: folder };
        until("the proxy listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        front
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes a certificate for these names and its key, and returns the hash of the public key.
fn certify(folder: &Path, names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("DNS:{name}")).collect();
    let script = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=usher \
                  -addext \"subjectAltName=$0\" -keyout key.pem -out cert.pem 2>/dev/null
                  openssl x509 -in cert.pem -pubkey -noout | openssl pkey -pubin -outform der |
                  openssl dgst -sha256 -binary | openssl base64";
    let made = Command::new("sh").args(["-ec", script, &names.join(",")]).current_dir(folder).output();
    let hash = String::from_utf8(made.expect("openssl is installed").stdout).expect("text").trim().to_owned();
    assert!(!hash.is_empty(), "openssl makes a certificate");
    hash
}
