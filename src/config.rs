//! Settings: each is a flag and an environment variable, explained where it is defined. There is no configuration file.

use crate::{
    domain::{AuditLimits, Origin, Password, Registration, SessionLimits},
    hashing::Cost,
};
use clap::{Args, ValueEnum};
use ipnet::{IpNet, Ipv4Net};
use std::{
    fmt::Display,
    net::SocketAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

/// Which database a command works on.
#[derive(Debug, Clone, Args)]
pub struct DatabaseSettings {
    /// The SQLite file that holds everything
    #[arg(long, global = true, env = "USHER_DATABASE", value_name = "FILE", default_value = "usher.db")]
    pub database: PathBuf,
}

/// Which passwords are accepted.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Passwords")]
pub struct PasswordSettings {
    /// The least number of characters of a new password, from 8 (OWASP ASVS 5.0) to 256; NIST recommends 15
    #[arg(long, env = "USHER_PASSWORD_MIN_LENGTH", value_name = "CHARACTERS", default_value_t = Password::MIN_LENGTH, value_parser = number(Password::MIN_LENGTH..=Password::MAX_LENGTH))]
    pub password_min_length: usize,

    /// A list of passwords to refuse instead of the bundled one: UTF-8, one a line, matched without regard to case. 'usher
    /// serve' reads it again on SIGHUP, unless it was started at a terminal: there SIGHUP ends it
    #[arg(long, env = "USHER_PASSWORD_BLOCKLIST", value_name = "FILE")]
    pub password_blocklist: Option<PathBuf>,

    /// Accept passwords that are on the list, or that are the account's own username or e-mail address;
    /// not together with --password-blocklist
    #[arg(long, env = "USHER_ALLOW_WEAK_PASSWORDS", value_parser = boolean)]
    pub allow_weak_passwords: bool,
}

/// What a password hash costs, in memory and time, for us and for a thief of the file.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Password hashing (Argon2id)")]
pub struct CostSettings {
    /// Memory of one hash in KiB, from 8 for each lane to 65536. A change acts on each account's next sign-in
    #[arg(long, env = "USHER_ARGON2_MEMORY", value_name = "KIB", default_value_t = Cost::DEFAULT.memory, value_parser = number(8..=Cost::MAX.memory))]
    pub argon2_memory: u32,

    /// Passes over that memory, from 1 to 10
    #[arg(long, env = "USHER_ARGON2_ITERATIONS", value_name = "PASSES", default_value_t = Cost::DEFAULT.iterations, value_parser = number(1..=Cost::MAX.iterations))]
    pub argon2_iterations: u32,

    /// Lanes, from 1 to 4; they are computed one after the other
    #[arg(long, env = "USHER_ARGON2_PARALLELISM", value_name = "LANES", default_value_t = Cost::DEFAULT.parallelism, value_parser = number(1..=Cost::MAX.parallelism))]
    pub argon2_parallelism: u32,
}

/// How long sessions last.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Sessions")]
pub struct LifetimeSettings {
    /// A session that is not used for this long ends; no longer than --session-lifetime
    #[arg(long, env = "USHER_SESSION_IDLE_TIMEOUT", value_name = "DURATION", default_value = "7d", value_parser = duration)]
    pub session_idle_timeout: Duration,

    /// A session ends this long after its sign-in, however much it is used
    #[arg(long, env = "USHER_SESSION_LIFETIME", value_name = "DURATION", default_value = "30d", value_parser = duration)]
    pub session_lifetime: Duration,
}

/// Everything about sessions.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Sessions")]
pub struct SessionSettings {
    #[command(flatten)]
    pub lifetimes: LifetimeSettings,

    /// How many sessions an account may have, from 1 to 10000; a further sign-in ends the oldest
    #[arg(long, env = "USHER_MAX_SESSIONS_PER_USER", value_name = "COUNT", default_value_t = 100, value_parser = number(1..=SessionLimits::MAX_PER_USER))]
    pub max_sessions_per_user: u32,

    /// To change one's own password or e-mail address, the sign-in must be at most this old, or the current password
    /// be given; to delete one's own account it must be this fresh. 0 asks for neither
    #[arg(long, env = "USHER_REAUTHENTICATE_AFTER", value_name = "DURATION", default_value = "15m", value_parser = duration_or_zero)]
    pub reauthenticate_after: Duration,
}

/// Who may register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RegistrationMode {
    /// Everybody
    Open,
    /// People who have an invitation
    Invite,
    /// Nobody; administrators create the accounts
    Closed,
}

impl From<RegistrationMode> for Registration {
    fn from(mode: RegistrationMode) -> Self {
        match mode {
            RegistrationMode::Open => Self::Open,
            RegistrationMode::Invite => Self::Invite,
            RegistrationMode::Closed => Self::Closed,
        }
    }
}

/// How long a reset token lasts.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Tokens")]
pub struct ResetSettings {
    /// How long a token that sets a new password can be used
    #[arg(long, env = "USHER_RESET_LIFETIME", value_name = "DURATION", default_value = "1h", value_parser = duration)]
    pub reset_lifetime: Duration,
}

/// How long an invitation lasts.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Tokens")]
pub struct InvitationSettings {
    /// How long an invitation can be used
    #[arg(long, env = "USHER_INVITATION_LIFETIME", value_name = "DURATION", default_value = "7d", value_parser = duration)]
    pub invitation_lifetime: Duration,
}

/// Whether something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

/// How much of the audit log is kept.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Audit log")]
pub struct AuditSettings {
    /// Entries that are older than this are deleted, from the beginning of the log: at the start and then hourly, and half a day
    /// of the log at a time, so that a clock that jumps ahead does not empty it
    #[arg(long, env = "USHER_AUDIT_RETENTION", value_name = "DURATION", default_value = "90d", value_parser = duration)]
    pub audit_retention: Duration,

    /// Beyond this many entries the oldest are deleted, whatever their age; a million take about 260 MiB
    #[arg(long, env = "USHER_AUDIT_MAX_ROWS", value_name = "COUNT", default_value_t = 1_000_000, value_parser = number(1..=u32::MAX))]
    pub audit_max_rows: u32,
}

impl From<AuditSettings> for AuditLimits {
    fn from(settings: AuditSettings) -> Self {
        Self { retention: settings.audit_retention, max_rows: settings.audit_max_rows }
    }
}

/// How lines of the log look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line, for machines
    Json,
}

/// Everything about `usher serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeSettings {
    /// The IP address and port to listen on; 0.0.0.0 or [::] for every interface, port 0 for any free port
    #[arg(long, env = "USHER_LISTEN", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", value_parser = socket_address)]
    pub listen: SocketAddr,

    /// A proxy, or a network of them, whose X-Forwarded-For and X-Request-Id are believed, such as 127.0.0.1 or
    /// 10.0.0.0/8; repeat the flag, or separate by commas, for several
    #[arg(long, env = "USHER_TRUSTED_PROXY", value_name = "CIDR", value_delimiter = ',', value_parser = network)]
    pub trusted_proxy: Vec<IpNet>,

    /// Who may register; administrators can always create accounts, over HTTP and at the shell
    #[arg(long, env = "USHER_REGISTRATION", value_enum, value_name = "MODE", default_value_t = RegistrationMode::Open)]
    pub registration: RegistrationMode,

    /// Slow down guessing: failed sign-ins by IP address and by account, registrations and password resets by IP address,
    /// changes of one's own account; beyond it they are answered with 429. Off is for measuring
    #[arg(long, env = "USHER_THROTTLE", value_enum, value_name = "ON|OFF", default_value_t = Switch::On)]
    pub throttle: Switch,

    /// An origin whose web apps may use the API from a browser, exactly as browsers send it: https://app.example.com, with
    /// the port unless it is the scheme's own, and nothing after it; repeat the flag, or separate by commas, for several.
    /// Cookies play no part: an app sends its token in the Authorization header
    #[arg(long, env = "USHER_CORS_ORIGIN", value_name = "ORIGIN", value_delimiter = ',', value_parser = origin)]
    pub cors_origin: Vec<Origin>,

    /// An IP address and port for metrics (Prometheus, at /metrics) and nothing else, apart from --listen; without it there are
    /// none. Everyone who can reach it can read them
    #[arg(long, env = "USHER_METRICS_LISTEN", value_name = "ADDRESS:PORT", value_parser = socket_address)]
    pub metrics_listen: Option<SocketAddr>,

    /// How many connections may be open; beyond it the one that has been without a complete request for longest is
    /// closed. One site (24 bits of IPv4, 48 of IPv6) has a quarter of them, unless it is a --trusted-proxy: a proxy that
    /// is not declared has no more. Lowered, with a warning, where the limit of open files is lower
    #[arg(long, env = "USHER_MAX_CONNECTIONS", value_name = "COUNT", default_value_t = 4096, value_parser = number(1..=u32::MAX))]
    pub max_connections: u32,

    /// How long requests that have begun may take to end after SIGINT or SIGTERM
    #[arg(long, env = "USHER_SHUTDOWN_TIMEOUT", value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub shutdown_timeout: Duration,

    /// Don't serve the API's documentation under /docs
    #[arg(long, env = "USHER_NO_DOCS", value_parser = boolean)]
    pub no_docs: bool,

    /// How lines of the log look; they go to standard error, and RUST_LOG (such as "info" or "usher=debug") chooses which
    #[arg(long, env = "USHER_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    #[command(flatten)]
    pub sessions: SessionSettings,

    #[command(flatten)]
    pub resets: ResetSettings,

    #[command(flatten)]
    pub invitations: InvitationSettings,

    #[command(flatten)]
    pub passwords: PasswordSettings,

    #[command(flatten)]
    pub audit: AuditSettings,

    #[command(flatten)]
    pub cost: CostSettings,

    /// How many passwords are hashed at a time, each in --argon2-memory; as many as there are processors unless set
    #[arg(long, env = "USHER_HASH_THREADS", value_name = "COUNT", value_parser = number(1..=256_u16), help_heading = "Password hashing (Argon2id)")]
    pub hash_threads: Option<u16>,

    /// How many more may wait; beyond it requests that need a hash (sign-ins, registrations, new passwords) are answered with
    /// 503 at once. Sites (IPv4 /24, IPv6 /48) take turns, and each may hold a quarter of the places, those of
    /// --hash-threads included; clients behind a proxy that is not in --trusted-proxy are one site
    #[arg(long, env = "USHER_HASH_QUEUE", value_name = "COUNT", default_value_t = 128, value_parser = number(1..=u16::MAX), help_heading = "Password hashing (Argon2id)")]
    pub hash_queue: u16,
}

/// A setting that is well-formed and still can't be used. The text names it and says what would do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(String);

/// A setting whose fault is found by its user.
pub fn unusable(text: impl Into<String>) -> Unusable {
    Unusable(text.into())
}

impl CostSettings {
    pub fn cost(self) -> Result<Cost, Unusable> {
        let cost = Cost {
            memory: self.argon2_memory,
            iterations: self.argon2_iterations,
            parallelism: self.argon2_parallelism,
        };
        let most = Cost::MAX;
        cost.is_possible().then_some(cost).ok_or_else(|| {
            Unusable(format!(
                "--argon2-memory {}, --argon2-iterations {} and --argon2-parallelism {} don't go together: memory is 8 KiB for each lane to {} KiB, iterations 1 to {}, lanes 1 to {}",
                cost.memory, cost.iterations, cost.parallelism, most.memory, most.iterations, most.parallelism
            ))
        })
    }
}

/// The settings of `serve` that decide what commands beside it do. They are stored under these names: those of the flags,
/// without the hyphens in front.
pub const POLICY: [&str; 13] = [
    "registration",
    "session-idle-timeout",
    "session-lifetime",
    "max-sessions-per-user",
    "reauthenticate-after",
    "reset-lifetime",
    "invitation-lifetime",
    "password-min-length",
    "password-blocklist",
    "allow-weak-passwords",
    "argon2-memory",
    "argon2-iterations",
    "argon2-parallelism",
];

impl ServeSettings {
    /// What is stored for commands beside the server: settings in the order of `POLICY`, with values as one would type
    /// them. Without `--password-blocklist` that one is left out.
    pub fn policy(&self) -> Result<Vec<(&'static str, String)>, Unusable> {
        let Self { sessions, cost, passwords, .. } = self;
        let registration = self.registration.to_possible_value().map(|value| value.get_name().to_owned());
        let values = [
            registration,
            Some(typed(sessions.lifetimes.session_idle_timeout)),
            Some(typed(sessions.lifetimes.session_lifetime)),
            Some(sessions.max_sessions_per_user.to_string()),
            Some(typed(sessions.reauthenticate_after)),
            Some(typed(self.resets.reset_lifetime)),
            Some(typed(self.invitations.invitation_lifetime)),
            Some(passwords.password_min_length.to_string()),
            passwords.password_blocklist.as_deref().map(absolute).transpose()?,
            Some(passwords.allow_weak_passwords.to_string()),
            Some(cost.argon2_memory.to_string()),
            Some(cost.argon2_iterations.to_string()),
            Some(cost.argon2_parallelism.to_string()),
        ];
        Ok(POLICY.into_iter().zip(values).filter_map(|(name, value)| Some((name, value?))).collect())
    }

    /// Refuses one port for both the metrics and everything else.
    pub fn check_ports(&self) -> Result<(), Unusable> {
        let (listen, metrics) = (self.listen, self.metrics_listen);
        let overlap = |metrics: &SocketAddr| {
            let everywhere = metrics.ip().is_unspecified() || listen.ip().is_unspecified();
            metrics.port() == listen.port() && metrics.port() != 0 && (everywhere || metrics.ip() == listen.ip())
        };
        match metrics.filter(overlap) {
            Some(metrics) => Err(Unusable(format!(
                "--metrics-listen {metrics} and --listen {listen} are the same port: choose another for the metrics"
            ))),
            None => Ok(()),
        }
    }
}

impl LifetimeSettings {
    /// With no more than so many sessions for an account.
    pub fn limits(&self, max_per_user: u32) -> Result<SessionLimits, Unusable> {
        if self.session_idle_timeout > self.session_lifetime {
            return Err(Unusable(
                "--session-idle-timeout is longer than --session-lifetime: make it as long or shorter".into(),
            ));
        }
        Ok(SessionLimits { idle_timeout: self.session_idle_timeout, lifetime: self.session_lifetime, max_per_user })
    }
}

impl SessionSettings {
    pub fn limits(&self) -> Result<SessionLimits, Unusable> {
        self.lifetimes.limits(self.max_sessions_per_user)
    }
}

/// `reset-lifetime` is also `USHER_RESET_LIFETIME`.
pub fn variable(name: &str) -> String {
    format!("USHER_{}", name.replace('-', "_").to_uppercase())
}

/// A hundred years: longer spans would run off the calendar.
const LONGEST: u64 = 100 * 365 * 24 * 60 * 60;

/// A whole number and `s`, `m`, `h` or `d`, from 1s.
pub fn duration(text: &str) -> Result<Duration, String> {
    let expected = || "expected a whole number and s, m, h or d, such as 90s or 30d, from 1s to 36500d".to_owned();
    let unit = text.chars().next_back().ok_or_else(expected)?;
    let number = text.strip_suffix(unit).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    let number: u64 = number.and_then(|digits| digits.parse().ok()).ok_or_else(expected)?;
    let scale = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(expected()),
    };
    let seconds = number.checked_mul(scale).filter(|seconds| (1..=LONGEST).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(expected)
}

/// As `duration` and `duration_or_zero` read it, in the largest unit that fits.
fn typed(span: Duration) -> String {
    let seconds = span.as_secs();
    let units = [(24 * 60 * 60, "d"), (60 * 60, "h"), (60, "m"), (1, "s")];
    match units.into_iter().find(|(scale, _)| seconds.is_multiple_of(*scale)) {
        Some((scale, unit)) if seconds > 0 => format!("{}{unit}", seconds / scale),
        _ => "0".to_owned(),
    }
}

/// A file's name for commands that run in another folder.
fn absolute(file: &Path) -> Result<String, Unusable> {
    let refuse = |why: String| Unusable(format!("--password-blocklist {}: {why}", file.display()));
    let found = std::fs::canonicalize(file).map_err(|error| refuse(error.to_string()))?;
    found.into_os_string().into_string().map_err(|_| refuse("the name of the file must be text in UTF-8".into()))
}

/// The same, and `0`.
fn duration_or_zero(text: &str) -> Result<Duration, String> {
    if text == "0" { Ok(Duration::ZERO) } else { duration(text).map_err(|expected| expected + ", or 0") }
}

/// A whole number within a range.
pub fn number<N: FromStr + PartialOrd + Display + Clone>(
    range: RangeInclusive<N>,
) -> impl Fn(&str) -> Result<N, String> + Clone {
    move |text| {
        let parsed = text.parse().ok().filter(|number| range.contains(number));
        parsed.ok_or_else(|| format!("expected a whole number from {} to {}", range.start(), range.end()))
    }
}

/// An IP address and a port.
pub fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080".to_owned())
}

/// What people and programs write for true and false.
fn boolean(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Ok(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Ok(false),
        _ => Err("expected true or false (or yes or no, on or off, 1 or 0)".to_owned()),
    }
}

/// `10.0.0.0/8`, or an IP address that stands for itself alone.
fn network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse().map(|address: std::net::IpAddr| IpNet::from(address)))
        .map(canonical)
        .map_err(|_| "expected an IP address or a network in CIDR form, such as 127.0.0.1 or 10.0.0.0/8".to_owned())
}

/// IPv4 networks that were written inside IPv6 become IPv4, as the peers do that are held against them.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(inner) = network else { return network };
    let (address, prefix) = (inner.addr().to_ipv4_mapped(), inner.prefix_len().checked_sub(96));
    let mapped = address.zip(prefix).and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok());
    mapped.map_or(network, IpNet::V4)
}

/// An origin, with the space that follows a comma.
fn origin(text: &str) -> Result<Origin, String> {
    Origin::parse(text.trim()).map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        for (text, seconds) in [("1s", 1), ("90s", 90), ("15m", 900), ("2h", 7_200), ("30d", 2_592_000)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
        }
        for bad in ["", "s", "0s", "5", "-1s", "+1s", "1.5h", "1w", "1 s", "99999999999999999999d", "36501d", "1µ"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
        assert_eq!(duration_or_zero("0"), Ok(Duration::ZERO));
    }

    #[test]
    fn a_duration_is_written_as_it_is_read_in_the_largest_unit() {
        for (seconds, text) in [(0, "0"), (1, "1s"), (90, "90s"), (300, "5m"), (7_200, "2h"), (86_400, "1d")] {
            let span = Duration::from_secs(seconds);
            assert_eq!((typed(span).as_str(), duration_or_zero(text)), (text, Ok(span)));
        }
    }

    #[test]
    fn a_network_is_read_in_any_spelling_and_ipv4_inside_ipv6_is_ipv4() {
        for (text, read) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("::ffff:127.0.0.1", "127.0.0.1/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::ffff:0:0/95", "::ffff:0.0.0.0/95"),
            ("::1", "::1/128"),
            ("::127.0.0.1", "::7f00:1/128"),
        ] {
            assert_eq!(network(text).unwrap().to_string(), read, "{text}");
        }
        assert!(network("localhost").is_err() && network("10.0.0.0/33").is_err());
    }

    #[test]
    fn the_flags_say_the_same_defaults_as_the_types() {
        #[derive(clap::Parser)]
        struct Flags {
            #[command(flatten)]
            sessions: SessionSettings,
            #[command(flatten)]
            audit: AuditSettings,
        }
        let flags = <Flags as clap::Parser>::parse_from(["usher"]);
        assert_eq!(flags.sessions.limits().unwrap(), SessionLimits::default());
        assert_eq!(AuditLimits::from(flags.audit), AuditLimits::default());
    }

    #[test]
    fn a_network_is_in_cidr_form_or_a_single_address() {
        assert_eq!(network("10.0.0.0/8").unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(network("::1").unwrap().to_string(), "::1/128");
        assert!(network("localhost").is_err());
    }
}
