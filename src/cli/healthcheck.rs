//! `usher healthcheck`

use super::output::show;
use crate::config::socket_address;
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use std::{
    fmt,
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs},
    time::{Duration, Instant},
};

/// Ask a server whether it is ready, for containers and monitors
///
/// Requests /readyz. Exits with 0 if the answer is 200, otherwise with 1. Opens no file, and waits at most five seconds.
#[derive(Debug, Args)]
pub(super) struct Healthcheck {
    /// The URL of the server, such as http://127.0.0.1:8080. The default is the server at --listen
    #[arg(long, value_name = "URL", value_parser = Target::parse)]
    url: Option<Target>,

    /// Where the server listens: the --listen of 'usher serve'. A server that listens on every interface is asked on the
    /// loopback interface
    #[arg(long, env = "USHER_LISTEN", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", value_parser = socket_address)]
    listen: SocketAddr,
}

const TIMEOUT: Duration = Duration::from_secs(5);
/// What to do when nothing listens there.
const WHERE: &str = "is the server running there? Name its --listen or --url";
/// What is read of an answer.
const MAX_ANSWER_BYTES: u64 = 16 * 1024;

/// Where the question goes: host and port, and a path.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    authority: String,
    path: String,
}

impl Target {
    fn parse(url: &str) -> Result<Self, String> {
        if url.starts_with("https://") {
            return Err("https is not supported; name the server's own port with http://".into());
        }
        let usable = |url: &&str| !url.contains(|c: char| c.is_whitespace() || c.is_control() || "@?#".contains(c));
        let rest = url.strip_prefix("http://").filter(usable);
        let rest = rest.ok_or("expected http:// and a host, such as http://127.0.0.1:8080")?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        if host.is_empty() {
            return Err("expected http:// and a host, such as http://127.0.0.1:8080".into());
        }
        let base = path.trim_end_matches('/');
        let base = base.strip_suffix("readyz").unwrap_or(base).trim_end_matches('/');
        let path = if base.is_empty() { "/readyz".to_owned() } else { format!("/{base}/readyz") };
        Ok(Self { authority: authority.to_owned(), path })
    }

    /// `None` where the port is left to the operating system.
    fn of(listen: SocketAddr) -> Option<Self> {
        let ip = match listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        let authority = SocketAddr::new(ip, listen.port()).to_string();
        (listen.port() != 0).then(|| Self { authority, path: "/readyz".to_owned() })
    }

    fn addresses(&self) -> Result<Vec<SocketAddr>> {
        let has_port = self.authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let with_port = if has_port { self.authority.clone() } else { format!("{}:80", self.authority) };
        let found = with_port.to_socket_addrs().with_context(|| format!("{self}: the host is not known"))?;
        Ok(found.collect())
    }

    fn connect(&self, deadline: Instant) -> Result<TcpStream> {
        let mut failed = anyhow!("{self}: the host has no IP address");
        for address in self.addresses()? {
            match TcpStream::connect_timeout(&address, left(deadline)) {
                Ok(connected) => return Ok(connected),
                Err(error) => failed = anyhow!("{self} can't be reached: {error}; {WHERE}"),
            }
        }
        Err(failed)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

/// Until the deadline; never zero, which would mean no limit.
fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

impl Healthcheck {
    pub(super) fn run(self) -> Result<()> {
        let target = self.url.or_else(|| Target::of(self.listen));
        let target = target.context("--listen names no port; name the server with --url")?;
        let answer = ask(&target)?;
        match status(&answer) {
            Some(200) => show(&format!("{target} is ready\n")),
            Some(status) => bail!("{target} answers {status}{}", reason(&answer)),
            None => bail!("{target} does not answer in HTTP"),
        }
    }
}

/// What the server answers, up to its end or as far as it comes in time.
fn ask(target: &Target) -> Result<Vec<u8>> {
    let deadline = Instant::now() + TIMEOUT;
    let mut server = target.connect(deadline)?;
    server.set_write_timeout(Some(TIMEOUT))?;
    let Target { authority, path } = target;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    server.write_all(request.as_bytes()).with_context(|| format!("{target} does not accept the request"))?;
    let (mut answer, mut part) = (Vec::new(), [0; 1024]);
    while (answer.len() as u64) < MAX_ANSWER_BYTES && status(&answer) != Some(200) && Instant::now() < deadline {
        server.set_read_timeout(Some(left(deadline)))?;
        match server.read(&mut part) {
            Ok(0) => break,
            Ok(length) => answer.extend_from_slice(&part[..length]),
            Err(_) if !answer.is_empty() => break,
            Err(error) if is_late(&error) => bail!("{target} does not answer within {} seconds", TIMEOUT.as_secs()),
            Err(error) => bail!("{target} does not answer: {error}"),
        }
    }
    Ok(answer)
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// The status, once its line is whole.
fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\r').next().filter(|line| line.len() < answer.len())?;
    let rest = std::str::from_utf8(line).ok()?.strip_prefix("HTTP/1.")?;
    rest.split(' ').nth(1)?.parse().ok()
}

/// What the body says of it, if it is an error of this API.
fn reason(answer: &[u8]) -> String {
    let body = answer.windows(4).position(|window| window == b"\r\n\r\n").map(|end| &answer[end + 4..]);
    let body = body.and_then(|body| serde_json::from_slice::<serde_json::Value>(body).ok());
    let message = body.and_then(|body| body["error"]["message"].as_str().map(str::to_owned));
    message.map_or_else(String::new, |message| format!(": {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_host_with_a_port_and_perhaps_a_path() {
        for (url, asked) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/readyz"),
            ("http://[::1]:8080/", "http://[::1]:8080/readyz"),
            ("http://usher", "http://usher/readyz"),
            ("http://proxy:80/accounts/", "http://proxy:80/accounts/readyz"),
            ("http://usher:8080/readyz", "http://usher:8080/readyz"),
        ] {
            assert_eq!(Target::parse(url).unwrap().to_string(), asked);
        }
        for bad in
            ["", "usher:8080", "https://usher", "http://", "http://:80", "http://a b", "http://x@y", "http://y?z"]
        {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_server_that_listens_everywhere_is_asked_on_the_loopback_interface() {
        for (listen, asked) in [
            ("0.0.0.0:80", "http://127.0.0.1:80/readyz"),
            ("[::]:80", "http://[::1]:80/readyz"),
            ("192.0.2.1:80", "http://192.0.2.1:80/readyz"),
            ("[2001:db8::1]:80", "http://[2001:db8::1]:80/readyz"),
        ] {
            assert_eq!(Target::of(listen.parse().unwrap()).unwrap().to_string(), asked);
        }
        assert_eq!(Target::of("127.0.0.1:0".parse().unwrap()), None);
    }

    #[test]
    fn the_port_of_a_url_is_80_unless_it_is_given() {
        for (url, port) in [("http://127.0.0.1", 80), ("http://[::1]", 80), ("http://[::1]:81", 81)] {
            assert_eq!(Target::parse(url).unwrap().addresses().unwrap()[0].port(), port, "{url}");
        }
    }

    #[test]
    fn a_status_is_known_once_its_line_is_whole() {
        assert_eq!(status(b"HTTP/1.1 200 OK\r"), Some(200));
        assert_eq!(status(b"HTTP/1.0 503\r\n"), Some(503));
        for other in [&b"HTTP/1.1 20"[..], b"", b"\r\n", b"SSH-2.0-x\r\n", b"HTTP/1.1 x\r\n"] {
            assert_eq!(status(other), None);
        }
    }
}
