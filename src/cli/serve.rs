//! `usher serve`

use super::{check, descriptors, log::Log, signals::Signals};
use crate::{
    app::App,
    clock::Clock,
    config::{ServeSettings, ServerSettings, read_blocklist},
    domain::{Caller, Origin, Registration},
    hashing::HashPool,
    http::{self, HttpSettings, Listeners, Stopped},
    store::{Lock, Prepared, Store},
};
use anyhow::{Context, Result, anyhow};
use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    thread::available_parallelism,
    time::Duration,
};
use tokio::net::{TcpListener, TcpSocket};

/// Settings by name, with values as users type them.
type StoredPolicy = Vec<(&'static str, String)>;

const STORE_RETRY_DELAY: Duration = Duration::from_secs(1);
/// How many connections may wait until they are accepted.
const MAX_BACKLOG: u32 = 1024;

pub(super) fn run(database: &Path, mut settings: ServeSettings) -> Result<()> {
    let log = Arc::new(Log::start(settings.log.log_format)?);
    let workers = available_parallelism().map_or(2, usize::from);
    let max_connections = descriptors::raise_limit(settings.server.max_connections as usize, workers + 2)?;
    for text in check::misspelled() {
        tracing::warn!("{text}");
    }
    settings.policy()?; // a setting that can't be used is refused before anything is touched
    let cost = settings.hashing.cost.cost()?;
    settings.server.check_ports()?;
    let (lock, sockets) = take(database, &settings.server)?;
    settings.pages.public_url = settings.pages.public_url.or(sockets.public.loopback_url()?);
    let (policy, stored) = (settings.policy()?, settings.stored()?);
    report(database, &Store::prepare(database, &lock)?);
    let store = Store::open_locked(database, u32::try_from(workers)?, Clock::System, lock)?;
    let threads = settings.hashing.hash_threads.map_or(workers, usize::from);
    let hashing = HashPool::start(cost, threads, settings.hashing.hash_queue.into());
    let hashing = hashing.context("the hashing threads can't be started")?;
    let app = Arc::new(App::new(store, hashing, Clock::System, policy));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
    let stopped = runtime.block_on(serve(
        app,
        settings.server.http(max_connections),
        settings.passwords.password_blocklist,
        stored,
        sockets,
        end_at_once(&log),
    ))?;
    runtime.shutdown_timeout(Duration::from_millis(100)); // what is left has been given up already
    match stopped {
        Stopped::Drained => tracing::info!("stopped"),
        Stopped::TimedOut => tracing::warn!("stopped; requests that took longer than --shutdown-timeout were aborted"),
    }
    log.end();
    Ok(())
}

/// What a second signal does. It waits for nothing but the log.
fn end_at_once(log: &Arc<Log>) -> impl FnOnce() + Send + use<> {
    let log = log.clone();
    move || {
        tracing::warn!("stopped at once by a second signal; requests in progress were cut off");
        log.end();
        std::process::exit(1)
    }
}

/// Takes the lock of the database, and binds the ports. A failure must not leave a new lock file, so the ports come first.
/// But if the lock file exists already, the lock comes first: then a second server reports the first one, and not its port.
fn take(database: &Path, settings: &ServerSettings) -> Result<(Lock, Sockets)> {
    let is_there = database.exists() && database.with_added_extension("lock").exists();
    let lock = is_there.then(|| Store::lock(database)).transpose()?;
    let sockets = Sockets::bind(settings)?;
    Ok((lock.map_or_else(|| Store::lock(database), Ok)?, sockets))
}

/// Ports that are bound, so that no other program can take them. Connections are refused until the server listens.
struct Sockets {
    public: Bound,
    metrics: Option<Bound>,
}

impl Sockets {
    fn bind(settings: &ServerSettings) -> Result<Self> {
        let metrics = settings.metrics_listen.map(|address| Bound::bind(address, "--metrics-listen"));
        Ok(Self { public: Bound::bind(settings.listen, "--listen")?, metrics: metrics.transpose()? })
    }

    fn listen(self) -> Result<Listeners> {
        let metrics = self.metrics.map(Bound::listen).transpose()?;
        Ok(Listeners { public: self.public.listen()?, metrics })
    }
}

/// A port, and the flag that named it.
struct Bound {
    socket: TcpSocket,
    address: SocketAddr,
    flag: &'static str,
}

impl Bound {
    fn bind(address: SocketAddr, flag: &'static str) -> Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let bind = |socket: TcpSocket| {
            socket.set_reuseaddr(true)?; // connections of an earlier server may not have ended yet
            socket.bind(address).map(|()| socket)
        };
        let socket = socket.and_then(bind).map_err(|error| refuse(address, flag, &error))?;
        Ok(Self { socket, address, flag })
    }

    /// Where a browser on this machine reaches a loopback address: what pages need when no public URL is set.
    fn loopback_url(&self) -> Result<Option<Origin>> {
        let address = self.socket.local_addr()?;
        let url = address.ip().is_loopback().then(|| Origin::parse(&format!("http://{address}")));
        url.transpose().map_err(|fault| anyhow!("{address} makes no public URL: {fault}"))
    }

    fn listen(self) -> Result<TcpListener> {
        let Self { socket, address, flag } = self;
        socket.listen(MAX_BACKLOG).map_err(|error| refuse(address, flag, &error))
    }
}

async fn serve(
    app: Arc<App>,
    settings: HttpSettings,
    blocklist: Option<PathBuf>,
    stored: StoredPolicy,
    sockets: Sockets,
    end_at_once: impl FnOnce() + Send + 'static,
) -> Result<Stopped> {
    let listeners = sockets.listen()?;
    let address = listeners.public.local_addr()?;
    if let Some(metrics) = &listeners.metrics {
        report_metrics(metrics.local_addr()?);
    }
    let signals = Signals::handle()?;
    app.maintenance.resume().await.map_err(|error| anyhow!(error))?;
    store_policy(&app, stored).await;
    tracing::info!(%address, "listening on http://{address}");
    if settings.docs {
        tracing::info!("the API documentation is at http://{address}/docs");
    }
    report_pages(app.policy().public_url.as_ref());
    if app.policy().registration == Registration::Open && !address.ip().is_loopback() {
        tracing::warn!("registration is open to everyone who can reach {address}; see --registration");
    }
    if !app.has_admin().await.map_err(|error| anyhow!(error))? {
        invite_first_admin(&app).await;
    }
    let reloading = app.clone();
    // In a task of its own: even if reading the file never ends, signals still stop the server.
    let shutdown = signals.stop(move || drop(tokio::spawn(reload(reloading.clone(), blocklist.clone()))), end_at_once);
    Ok(http::serve(listeners, app, settings, shutdown).await)
}

fn report_pages(public_url: Option<&Origin>) {
    match public_url {
        None => {
            tracing::warn!("no pages are served, only the API: set --public-url to where browsers reach this server");
        }
        Some(url) if !url.is_unprotected() => tracing::info!("pages are at {url}"),
        Some(url) => tracing::warn!(
            "pages are at {url}, without TLS: anybody on the network can read passwords; put a proxy with TLS in front, and \
             set --public-url to its https:// address"
        ),
    }
}

/// Says how the first administrator is created. With pages that is a link, which is new at each start: logs are kept.
async fn invite_first_admin(app: &App) {
    if let Some(public_url) = &app.policy().public_url {
        match app.setup.issue(&Caller::shell()).await {
            Ok(Some(link)) => {
                tracing::warn!(
                    "there is no administrator yet; within an hour, open {} to create one, or use 'usher create-admin'",
                    http::link_of(public_url, &link.token)
                );
                return;
            }
            Ok(None) => return, // somebody created one meanwhile
            Err(error) => tracing::warn!(%error, "no link to create an administrator could be made"),
        }
    }
    tracing::warn!(
        "there is no administrator yet; create one with 'usher create-admin --username NAME --email ADDRESS'"
    );
}

fn report_metrics(address: SocketAddr) {
    tracing::info!(%address, "metrics are at http://{address}/metrics");
    if !address.ip().is_loopback() {
        tracing::warn!("metrics can be read by everyone who can reach {address}");
    }
}

/// Stores the policy for other commands. If the disk can't be written now, it tries again later.
async fn store_policy(app: &Arc<App>, stored: StoredPolicy) {
    let Err(error) = app.store_policy(stored.clone()).await else { return };
    tracing::warn!(%error, "the policy could not be stored, so commands still follow the previous one; the server tries again");
    let app = app.clone();
    tokio::spawn(async move {
        while app.store_policy(stored.clone()).await.is_err() {
            tokio::time::sleep(STORE_RETRY_DELAY).await;
        }
        tracing::info!("the policy is stored now");
    });
}

/// Why a port can't be used, and what to do.
fn refuse(address: SocketAddr, flag: &str, error: &io::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::AddrInUse => {
            anyhow!("{address} is in use by another program; stop that one, or choose another with {flag}")
        }
        ErrorKind::PermissionDenied => {
            anyhow!("{address} may not be used (ports below 1024 are for root); choose another with {flag}")
        }
        ErrorKind::AddrNotAvailable => {
            anyhow!("this machine does not have the IP address {}; choose another with {flag}", address.ip())
        }
        _ => anyhow!("{address} can't be listened on: {error}; choose another with {flag}"),
    }
}

/// Reads the list of passwords to refuse again. If it is invalid, the previous one stays in use.
async fn reload(app: Arc<App>, blocklist: Option<PathBuf>) {
    let (Some(file), Some(current)) = (blocklist, &app.policy().passwords.blocklist) else {
        tracing::info!("SIGHUP reads --password-blocklist again, but it is not set");
        return;
    };
    let name = file.display().to_string();
    match tokio::task::spawn_blocking(move || read_blocklist(&file)).await {
        Ok(Ok(list)) => {
            current.replace_words(&list);
            tracing::info!(file = name, "the list of passwords to refuse was read again");
        }
        Ok(Err(error)) => tracing::error!(%error, "the list of passwords to refuse stays as it was"),
        Err(error) => tracing::error!(%error, "the list of passwords to refuse stays as it was"),
    }
}

fn report(database: &Path, prepared: &Prepared) {
    let database = database.display();
    match prepared {
        Prepared::Created => tracing::info!(%database, "a new database was created"),
        Prepared::UpToDate => tracing::info!(%database, "the database is up to date"),
        Prepared::Migrated { from, copy } => {
            tracing::info!(%database, from, copy = %copy.display(), "the database was brought up to date; a copy from before is kept");
        }
    }
}
