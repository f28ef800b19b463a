//! The socket of a connection, with timeouts.

use super::{
    CLIENT_TIMEOUT,
    connection::{Connection, Phase},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::sockopt::set_socket_send_buffer_size,
};
use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
    time::Sleep,
};

/// The maximum size of one read, so that little is buffered of what a client sends ahead.
const MAX_READ_BYTES: usize = 4 * 1024;

/// What the kernel keeps of an answer that its client has not taken. Linux doubles it for its own records. Without a bound
/// it is some MiB for each client that reads nothing.
const SEND_BUFFER_BYTES: usize = 128 * 1024;
/// The same once nothing more is written: see `is_taken`.
const LAST_SEND_BUFFER_BYTES: usize = 4 * 1024;

/// A socket whose writes fail if the client reads nothing for `CLIENT_TIMEOUT`. It notices a reset while a request is
/// being answered.
/// Nothing of it outlives it in the kernel: if its client has not taken what was written, it ends with a reset.
pub(super) struct TimeoutSocket {
    stream: TcpStream,
    connection: Arc<Connection>,
    stalled: Option<Pin<Box<Sleep>>>,
    /// Whether the client has been told that nothing more comes.
    is_shut_down: bool,
}

impl TimeoutSocket {
    pub(super) fn new(stream: TcpStream, connection: Arc<Connection>) -> Self {
        let _ = set_socket_send_buffer_size(&stream, SEND_BUFFER_BYTES);
        Self { stream, connection, stalled: None, is_shut_down: false }
    }

    /// Whether the client has taken what was written, but for a few kilobytes: so much fits into a buffer made small, which
    /// can be written to then. To be asked only once nothing more is written.
    fn is_taken(&self) -> bool {
        const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
        let _ = set_socket_send_buffer_size(&self.stream, LAST_SEND_BUFFER_BYTES);
        let mut looked_at = [PollFd::new(&self.stream, PollFlags::OUT)];
        poll(&mut looked_at, Some(&AT_ONCE)).is_ok_and(|ready| ready > 0)
    }

    fn poll_taken(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let is_taken = || if self.is_taken() { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) };
        while self.stream.try_io(Interest::WRITABLE, is_taken).is_err() {
            ready!(self.stream.poll_write_ready(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Starts the deadline when a write has to wait, and stops it at the next write that does not.
    fn watch<T>(&mut self, cx: &mut Context<'_>, wrote: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if wrote.is_ready() {
            self.stalled = None;
            return wrote;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(CLIENT_TIMEOUT)));
        match stalled.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for TimeoutSocket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.connection.read_on();
        ready!(self.stream.poll_read_ready(cx))?; // don't touch the buffer before there is something to read
        if self.connection.must_wait() {
            cx.waker().wake_by_ref(); // let connections that are closing go first
            return Poll::Pending;
        }
        // Reads into a buffer on the stack: hyper's buffer would have to be zeroed first, four kilobytes for each
        // request.
        let mut room = [MaybeUninit::uninit(); MAX_READ_BYTES];
        let count = buffer.remaining().min(MAX_READ_BYTES);
        let mut part = ReadBuf::uninit(&mut room[..count]);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
        buffer.put_slice(part.filled());
        self.connection.hold(part.filled().len());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TimeoutSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.watch(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper reads nothing while a request is being answered, so it would not notice a client that disconnected. It
    /// flushes often, so the check is here. A client that has only finished sending counts as connected.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.connection.is_in(Phase::Answering)
            && let Poll::Ready(Err(error)) = self.stream.poll_peek(cx, &mut ReadBuf::new(&mut [0]))
        {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// A connection that is closed is counted no more, so it is kept until its client has taken the answer.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let taken = self.poll_taken(cx);
        ready!(self.watch(cx, taken))?;
        self.connection.enter(Phase::Closed); // before its client can know, and so open another one
        self.is_shut_down = true;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Drop for TimeoutSocket {
    fn drop(&mut self) {
        if !self.is_shut_down && !self.is_taken() {
            let _ = self.stream.set_zero_linger();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::server::{
        connection::READ_BUFFER_BYTES,
        in_flight::{InFlight, MAX_BYTES},
    };
    use std::{io::Write, task::Waker};
    use tokio::{io::AsyncReadExt, net::TcpListener};

    /// A connection as the server reads it, and its client.
    async fn connected(in_flight: &Arc<InFlight>) -> (TimeoutSocket, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        (TimeoutSocket::new(stream, Arc::new(Connection::new(peer.ip(), None, in_flight.clone()))), client)
    }

    #[tokio::test]
    async fn a_connection_has_ended_before_its_client_can_know() {
        let (mut socket, mut client) = connected(&Arc::default()).await;
        assert!(!socket.connection.is_in(Phase::Closed));
        tokio::io::AsyncWriteExt::shutdown(&mut socket).await.unwrap();
        assert!(socket.connection.is_in(Phase::Closed));
        assert_eq!(std::io::Read::read(&mut client, &mut [0]).unwrap(), 0);
    }

    #[tokio::test]
    async fn a_request_that_does_not_come_whole_is_counted_with_the_room_that_is_kept_for_it() {
        let in_flight = Arc::<InFlight>::default();
        let (mut reading, mut client) = connected(&in_flight).await;
        let others = in_flight.begin(Arc::default());
        others.grow_to(MAX_BYTES - READ_BUFFER_BYTES);
        let mut byte = [0; 1];

        client.write_all(b"a").unwrap();
        reading.read_exact(&mut byte).await.unwrap();
        assert!(!in_flight.is_crowded_for(true), "one that comes whole in one read is not counted");

        let mut rest = Box::pin(reading.read_exact(&mut byte));
        assert!(rest.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert!(in_flight.is_crowded_for(true));
    }

    #[tokio::test]
    async fn while_others_have_to_close_a_request_may_begin_and_its_rest_comes_later() {
        // given
        let in_flight = Arc::<InFlight>::default();
        let (mut reading, mut client) = connected(&in_flight).await;
        let mut byte = [0; 1];

        // when
        let crowd = in_flight.begin(Arc::default());
        crowd.grow_to(usize::MAX / 2);
        client.write_all(b"ab").unwrap();

        // then
        assert_eq!(reading.read_exact(&mut byte).await.map(|_| byte).unwrap(), *b"a");
        let mut rest = Box::pin(reading.read_exact(&mut byte));
        for _ in 0..10 {
            assert!(rest.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        drop(crowd);
        rest.await.unwrap();
        assert_eq!(byte, *b"b");
    }
}
