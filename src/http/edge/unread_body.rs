//! Bodies that no handler reads. Some answers are clear before the body has arrived, such as those to an invalid token
//! or an unknown path. If the connection was closed while the client is still writing, the client would lose the
//! answer.

use poem::{Body, Request, http::header};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, ReadBuf},
    runtime::Handle,
};

/// How much of the rest is read, and for how long. Beyond that, the connection is closed.
const MAX_BYTES: u64 = 256 * 1024;
const DEADLINE: Duration = Duration::from_secs(5);

/// Makes sure that a request's body is read, even if no handler reads it. With `Expect: 100-continue`, the client sends
/// no body after another answer, and the next bytes belong to another request.
pub fn drain_when_dropped(request: &mut Request) {
    if request.headers().contains_key(header::EXPECT) {
        return;
    }
    let body = request.take_body();
    request.set_body(if body.is_empty() { body } else { Body::from_async_read(Taken::new(body)) });
}

type Reader = Pin<Box<dyn AsyncRead + Send>>;

/// A body whose rest is read when it is dropped.
struct Taken(Option<Reader>);

impl Taken {
    fn new(body: Body) -> Self {
        Self(Some(Box::pin(body.into_async_read())))
    }
}

impl AsyncRead for Taken {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some(reader) = &mut self.0 else { return Poll::Ready(Ok(())) };
        let (room, before) = (buffer.remaining(), buffer.filled().len());
        let read = reader.as_mut().poll_read(cx, buffer);
        let ended = matches!(&read, Poll::Ready(Ok(())) if room > 0 && buffer.filled().len() == before);
        if ended || matches!(&read, Poll::Ready(Err(_))) {
            self.0 = None;
        }
        read
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let (Some(rest), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            let read_on = async {
                let (mut rest, mut scrap) = (rest.take(MAX_BYTES), [0; 1024]); // small, because there may be thousands
                while rest.read(&mut scrap).await.is_ok_and(|count| count > 0) {}
            };
            runtime.spawn(tokio::time::timeout(DEADLINE, read_on));
        }
    }
}
