//! One TCP or TLS connection to a server: many questions at once, answers in any order (RFC 7766
//! section 6.2.1.1).
//!
//! hickory's multiplexer takes 32 questions at a time and looks at each of them on every wake-up;
//! this one is two tasks and a map. It is closed by the server, by an error, or when nothing was
//! asked for [`IDLE`]; who asks then gets [`StreamError::Closed`] and opens the next.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// A connection without questions is kept this long (RFC 7766 section 6.2.3: a few seconds).
const IDLE: Duration = Duration::from_secs(10);
/// Questions under way on one connection. A fraction of the identifiers, so that a random one is
/// free.
const IN_FLIGHT_MAX: usize = 4096;
/// Questions that wait for the socket to take them.
const QUEUE_MAX: usize = 256;

/// Why a connection gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum StreamError {
    /// The connection ended.
    #[error("the connection was closed")]
    Closed,
    /// Too many questions are under way on it.
    #[error("too many questions are under way on the connection")]
    Full,
    /// More than a length of two octets can say, or no header.
    #[error("the question is no message")]
    NoMessage,
}

type Waiting = HashMap<u16, oneshot::Sender<Vec<u8>>>;

/// A connection. Dropping it ends its tasks.
#[derive(Debug)]
pub(super) struct Stream {
    outgoing: mpsc::Sender<Vec<u8>>,
    /// None once the connection is closed.
    waiting: Arc<Mutex<Option<Waiting>>>,
}

impl Stream {
    /// Takes over an open connection and spawns its tasks.
    pub fn new<S: AsyncRead + AsyncWrite + Send + 'static>(connection: S) -> Self {
        let (reader, writer) = tokio::io::split(connection);
        let (outgoing, queue) = mpsc::channel(QUEUE_MAX);
        let waiting = Arc::new(Mutex::new(Some(Waiting::new())));
        let (shared, closing) = (waiting.clone(), waiting.clone());
        tokio::spawn(async move {
            let mut queue = queue;
            // The writer ends when the queue does: with the last `Stream` of it.
            tokio::select! {
                result = read(reader, &shared) => log_end(result),
                result = write(writer, &mut queue) => log_end(result),
            }
            closing.lock().take();
        });
        Self { outgoing, waiting }
    }

    /// Whether it can still be asked.
    pub fn is_open(&self) -> bool {
        self.waiting.lock().is_some()
    }

    /// Sends a question under an identifier of its own and waits for the answer to it. There is no
    /// limit of time here.
    pub async fn ask(&self, mut question: Vec<u8>) -> Result<Vec<u8>, StreamError> {
        let length = u16::try_from(question.len()).map_err(|_| StreamError::NoMessage)?;
        let field = question.first_chunk_mut::<2>().ok_or(StreamError::NoMessage)?;
        let (id, answer) = self.register()?;
        let _place = Place { id, waiting: &self.waiting };
        *field = id.to_be_bytes();
        question.splice(0..0, length.to_be_bytes());
        self.outgoing.send(question).await.map_err(|_| StreamError::Closed)?;
        answer.await.map_err(|_| StreamError::Closed)
    }

    fn register(&self) -> Result<(u16, oneshot::Receiver<Vec<u8>>), StreamError> {
        let mut guard = self.waiting.lock();
        let waiting = guard.as_mut().ok_or(StreamError::Closed)?;
        if waiting.len() >= IN_FLIGHT_MAX {
            return Err(StreamError::Full);
        }
        let mut id: u16 = rand::random();
        while waiting.contains_key(&id) {
            id = id.wrapping_add(1);
        }
        let (sender, receiver) = oneshot::channel();
        waiting.insert(id, sender);
        Ok((id, receiver))
    }
}

/// Who no longer waits gives the identifier back.
struct Place<'s> {
    id: u16,
    waiting: &'s Mutex<Option<Waiting>>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = self.waiting.lock().as_mut() {
            waiting.remove(&self.id);
        }
    }
}

async fn write<W: AsyncWrite + Unpin>(
    mut writer: W,
    queue: &mut mpsc::Receiver<Vec<u8>>,
) -> io::Result<()> {
    while let Some(message) = queue.recv().await {
        writer.write_all(&message).await?;
        if queue.is_empty() {
            writer.flush().await?;
        }
    }
    writer.shutdown().await
}

async fn read<R: AsyncRead + Unpin>(
    mut reader: R,
    waiting: &Mutex<Option<Waiting>>,
) -> io::Result<()> {
    loop {
        // One octet is read whole or not at all, so nothing is lost when time is up.
        let high = match timeout(IDLE, reader.read_u8()).await {
            Ok(octet) => octet?,
            Err(_) if is_idle(waiting) => return Ok(()),
            Err(_) => continue,
        };
        let length = u16::from_be_bytes([high, reader.read_u8().await?]);
        let mut message = vec![0; usize::from(length)];
        reader.read_exact(&mut message).await?;
        let Some(id) = message.first_chunk::<2>() else { continue };
        let receiver = waiting.lock().as_mut().and_then(|w| w.remove(&u16::from_be_bytes(*id)));
        if let Some(receiver) = receiver {
            // Who asked may have gone; then nobody wants the answer.
            let _ = receiver.send(message);
        }
    }
}

/// Closes the map in the same step, so that no question slips in.
fn is_idle(waiting: &Mutex<Option<Waiting>>) -> bool {
    let mut guard = waiting.lock();
    let is_idle = guard.as_ref().is_none_or(HashMap::is_empty);
    if is_idle {
        guard.take();
    }
    is_idle
}

fn log_end(result: io::Result<()>) {
    if let Err(error) = result {
        tracing::debug!(%error, "connection to an upstream server ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{DuplexStream, duplex};
    use tokio::time::Instant;

    async fn frame(from: &mut DuplexStream) -> Vec<u8> {
        let length = from.read_u16().await.unwrap();
        let mut message = vec![0; usize::from(length)];
        from.read_exact(&mut message).await.unwrap();
        message
    }

    async fn reply(to: &mut DuplexStream, message: &[u8]) {
        to.write_u16(u16::try_from(message.len()).unwrap()).await.unwrap();
        to.write_all(message).await.unwrap();
    }

    #[tokio::test]
    async fn answers_in_any_order_reach_who_asked() {
        let (near, mut far) = duplex(4096);
        let stream = Stream::new(near);
        let server = async {
            let (first, second) = (frame(&mut far).await, frame(&mut far).await);
            assert_ne!(first[..2], second[..2]);
            for message in [second, first] {
                reply(&mut far, &message).await;
            }
        };
        let (a, b, ()) =
            tokio::join!(stream.ask(b"..first".to_vec()), stream.ask(b"..second".to_vec()), server);
        assert_eq!((&a.unwrap()[2..], &b.unwrap()[2..]), (&b"first"[..], &b"second"[..]));
    }

    #[tokio::test]
    async fn a_closed_connection_fails_all_who_wait_and_who_come_later() {
        let (near, mut far) = duplex(4096);
        let stream = Stream::new(near);
        let server = async {
            frame(&mut far).await;
            drop(far);
        };
        let (answer, ()) = tokio::join!(stream.ask(b"..x".to_vec()), server);
        assert_eq!(answer, Err(StreamError::Closed));
        assert_eq!(stream.ask(b"..x".to_vec()).await, Err(StreamError::Closed));
        assert!(!stream.is_open());
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
        let (near, mut far) = duplex(4096);
        let stream = Stream::new(near);
        let start = Instant::now();
        let server = async {
            let message = frame(&mut far).await;
            tokio::time::sleep(3 * IDLE).await;
            reply(&mut far, &message).await;
            assert_eq!(far.read(&mut [0]).await.unwrap(), 0, "closed");
            start.elapsed()
        };
        let (answer, closed) = tokio::join!(stream.ask(b"..x".to_vec()), server);
        assert!(answer.is_ok());
        assert!(closed >= 4 * IDLE && closed < 5 * IDLE, "{closed:?}");
        assert!(!stream.is_open());
    }

    #[tokio::test]
    async fn who_stops_waiting_gives_its_place_back_and_late_answers_are_dropped() {
        let (near, mut far) = duplex(1 << 20);
        let stream = Stream::new(near);
        let given_up = timeout(Duration::ZERO, stream.ask(b"..late".to_vec())).await;
        assert!(given_up.is_err());
        assert_eq!(stream.waiting.lock().as_ref().map(HashMap::len), Some(0));
        let late = frame(&mut far).await;
        reply(&mut far, &late).await;
        let server = async {
            let message = frame(&mut far).await;
            reply(&mut far, &message).await;
        };
        let (answer, ()) = tokio::join!(stream.ask(b"..next".to_vec()), server);
        assert_eq!(&answer.unwrap()[2..], b"next");
    }

    #[tokio::test]
    async fn the_number_of_questions_under_way_is_bounded() {
        let (near, far) = duplex(64);
        let stream = Stream::new(near);
        let places: Vec<_> = (0..IN_FLIGHT_MAX).map(|_| stream.register().unwrap()).collect();
        assert_eq!(stream.ask(b"..x".to_vec()).await, Err(StreamError::Full));
        drop((places, far));
    }
}
