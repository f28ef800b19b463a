//! Sockets, and the deadlines of clients: HTTP/1.1 over hyper. Knows nothing of routes or of the layers above.
//!
//! A head that does not arrive, a slow body (see `body`), or an answer that nobody reads ends the connection after
//! `CLIENT_TIMEOUT`. There are no upgrades and no HTTP/2; a proxy in front may offer them. The memory that strangers can
//! occupy is limited: see `Limits`, `MAX_HEAD_BYTES` and `in_flight`.

mod connection;
mod in_flight;
mod open;
mod proxies;
mod socket;

pub use connection::Connection;
pub use open::Limits;
pub use proxies::Proxies;

use connection::Phase;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use open::Open;
use poem::{
    Endpoint, Request, Response,
    http::{HeaderValue, header, uri::Scheme},
    web::{LocalAddr, RemoteAddr},
};
use socket::TimeoutSocket;
use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
};

/// How long a client may take to send the head of a request, or to read any part of an answer.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(30);
/// Beyond this, hyper answers `431`. It also limits how far hyper reads ahead.
const MAX_HEAD_BYTES: usize = 16 * 1024;
const MAX_HEADERS: usize = 100;
/// The approximate memory of a header besides its text, and of a request with a body besides its content.
const HEADER_OVERHEAD_BYTES: usize = 100;
const REQUEST_OVERHEAD_BYTES: usize = 24 * 1024;
/// How long idle connections stay open while the server stops.
const DRAIN_IDLE: Duration = Duration::from_secs(1);
/// How long to wait after accepting failed, for example because file descriptors ran out.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// Serves until `stopping` is true, and then until accepted requests are answered. The caller limits that time.
pub async fn serve<E>(listener: TcpListener, endpoint: Arc<E>, limits: Limits, mut stopping: watch::Receiver<bool>)
where
    E: Endpoint<Output = Response> + 'static,
{
    let open = Arc::new(Open::new(limits));
    // Each connection holds a sender; the receiver ends when the last sender is dropped.
    let (alive, mut all_gone) = mpsc::channel::<Infallible>(1);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop(&mut stopping) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (entry, alive, stopping) = (open.add(peer.ip()), alive.clone(), stopping.clone());
                let endpoint = endpoint.clone();
                tokio::spawn(async move {
                    serve_connection(stream, peer, endpoint, &entry.connection, stopping).await;
                    drop((entry, alive));
                });
            }
            // The client has already disconnected.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted; the quietest one is closed");
                open.close_quietest();
                tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            }
        }
    }
    drop((listener, alive));
    all_gone.recv().await;
}

/// Completes when the server stops.
async fn stop(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await; // an error means that the sender was dropped: also stop
}

async fn serve_connection<E>(
    stream: TcpStream,
    peer: SocketAddr,
    endpoint: Arc<E>,
    connection: &Arc<Connection>,
    mut stopping: watch::Receiver<bool>,
) where
    E: Endpoint<Output = Response> + 'static,
{
    let local = stream.local_addr().unwrap_or(peer);
    let _ = stream.set_nodelay(true); // answers are written in one piece; Nagle's algorithm would only delay them
    let service = hyper::service::service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let (endpoint, connection) = (endpoint.clone(), connection.clone());
        // Boxed, because hyper reserves space for it from the start of a connection.
        Box::pin(async move {
            let whole = hyper::body::Body::is_end_stream(request.body());
            let is_kept = connection.is_kept_after(request.headers().len());
            let _in_progress = InProgress::begin(&connection, whole, request.headers().len());
            let addresses = (LocalAddr(local.into()), RemoteAddr(peer.into()));
            let mut request = Request::from((request, addresses.0, addresses.1, Scheme::HTTP));
            request.set_data(connection.clone());
            let mut response = hyper::Response::from(endpoint.get_response(request).await);
            if !is_kept {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        })
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(CLIENT_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS);
    http.half_close(true); // a client that has finished sending may still want the answer
    let served = http.serve_connection(TokioIo::new(TimeoutSocket::new(stream, connection.clone())), service);
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = connection.close.notified() => return,
        () = stop(&mut stopping) => {
            served.as_mut().graceful_shutdown();
            tokio::select! {
                ended = served => ended,
                () = connection.close.notified() => return,
                () = connection.is_idle_for(DRAIN_IDLE) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// A request from its head to its answer, or until it is aborted.
struct InProgress<'c>(&'c Connection);

impl<'c> InProgress<'c> {
    fn begin(connection: &'c Connection, whole: bool, headers: usize) -> Self {
        if whole {
            connection.has_complete_request();
        } else {
            connection.enter(Phase::Receiving);
            connection.hold_overhead(REQUEST_OVERHEAD_BYTES + headers * HEADER_OVERHEAD_BYTES);
        }
        Self(connection)
    }
}

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        self.0.has_ended_request();
    }
}

#[cfg(test)]
mod tests {
    use super::{in_flight::MAX_BYTES, *};
    use std::net::Ipv4Addr;

    #[test]
    fn a_request_is_counted_with_what_is_kept_of_each_header() {
        let in_flight = Arc::<in_flight::InFlight>::default();
        let others = in_flight.begin(Arc::default());
        others.grow_to(MAX_BYTES - REQUEST_OVERHEAD_BYTES - 50 * HEADER_OVERHEAD_BYTES);
        for (headers, is_crowded) in [(50, false), (51, true)] {
            let connection = Connection::new(Ipv4Addr::LOCALHOST.into(), None, in_flight.clone());
            let _request = InProgress::begin(&connection, false, headers);
            assert_eq!(in_flight.is_crowded_for(true), is_crowded, "{headers}");
        }
    }
}
