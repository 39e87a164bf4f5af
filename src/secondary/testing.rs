//! A primary that does what a test says.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

use super::settings::{Primary, Secondary, Transport};
use crate::model::time::Clock;
use crate::model::{Action, Name, NamePattern, Rule, Timestamp, Trigger};
use crate::zone::tsig::{Algorithm, Key, Keys, ServerSequence};
use crate::zone::wire::{
    MESSAGE_OCTETS, Request, RequestKind, TransferLimits, TransferWriter, rcode, refusal,
};
use crate::zone::{Delta, Serial, Soa, Zone, ZoneBuilder};

pub const NOW: Timestamp = Timestamp(1_787_000_000);

/// A clock that stands still.
pub struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        NOW
    }
}

pub fn name(text: &str) -> Name {
    Name::from_presentation(text).unwrap()
}

/// A zone of that many rules.
pub fn zone(serial: u32, count: u32) -> Zone {
    let mut builder = ZoneBuilder::new(name("rpz.test"), Soa::ours(Serial(serial)), 7);
    for at in 0..count {
        let pattern = NamePattern::exact(name(&format!("n{at}.test")));
        let (trigger, action) = (Trigger::QueryName(pattern), Action::NxDomain);
        builder.insert(Rule { trigger, action, ttl: 60 });
    }
    builder.finish().0
}

pub fn key(secret: &[u8]) -> Arc<Key> {
    Arc::new(Key::new(name("transfer.key"), Algorithm::HmacSha256, secret))
}

/// What a primary does with questions over UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datagrams {
    /// Answers them, after a datagram that is no answer to them.
    Answer,
    /// Says that the answer is too long.
    Truncate,
}

/// What a primary has and how it fails.
#[derive(Clone)]
pub struct Script {
    pub zone: Zone,
    /// What it sends for changes; the whole zone where there is none.
    pub delta: Option<Delta>,
    pub key: Option<Arc<Key>>,
    /// Hangs up after so many messages of a transfer.
    pub messages_max: usize,
    /// Signs only the first message of a transfer, every so many, and the last.
    pub signed_every: usize,
    /// Answers questions for changes with this code.
    pub changes_code: Option<u8>,
    /// Answers every transfer with this code.
    pub transfer_code: Option<u8>,
    pub datagrams: Datagrams,
}

impl Script {
    pub fn of(zone: Zone) -> Self {
        Self {
            zone,
            delta: None,
            key: None,
            messages_max: usize::MAX,
            signed_every: 1,
            changes_code: None,
            transfer_code: None,
            datagrams: Datagrams::Answer,
        }
    }

    /// Serves until the test ends, and gives the address.
    pub async fn serve(self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let socket = UdpSocket::bind(address).await.unwrap();
        let script = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let script = self.clone();
                tokio::spawn(async move { script.answer(stream).await });
            }
        });
        tokio::spawn(async move { script.answer_datagrams(socket).await });
        address
    }

    async fn answer_datagrams(&self, socket: UdpSocket) {
        let mut buffer = [0; 2048];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
            let mut messages = self.messages(buffer[..length].to_vec());
            let mut answer = messages.swap_remove(0);
            if self.datagrams == Datagrams::Truncate {
                answer[2] |= 2;
            }
            let forged = [&[!answer[0]], &answer[1..]].concat();
            for datagram in [&forged, &answer] {
                socket.send_to(datagram, peer).await.unwrap();
            }
        }
    }

    /// Answers on a connection until it is closed.
    pub async fn answer(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        while let Ok(length) = stream.read_u16().await {
            let mut message = vec![0; usize::from(length)];
            stream.read_exact(&mut message).await.unwrap();
            let messages = self.messages(message);
            let cut = messages.len() > self.messages_max;
            for message in messages.into_iter().take(self.messages_max) {
                send(&mut stream, &message).await;
            }
            if cut {
                return;
            }
        }
    }

    /// What it answers to a message.
    fn messages(&self, mut message: Vec<u8>) -> Vec<Vec<u8>> {
        let keys = Keys::new(self.key.iter().cloned().collect());
        let sequence = ServerSequence::check(&keys, &mut message, NOW);
        let mut sequence = match sequence {
            Ok(sequence) => sequence,
            Err(refusal) => return vec![refusal.response.unwrap()],
        };
        let (request, of_soa) = match Request::read(&message) {
            Ok(request) => (request, false),
            Err(_) => (self.soa_request(&message), true),
        };
        let changes = matches!(request.kind, RequestKind::Changes(_));
        let code = self.transfer_code.or(self.changes_code.filter(|_| changes));
        let mut messages = match code.filter(|_| !of_soa) {
            Some(code) => vec![refusal(&message, code).unwrap()],
            None => self.transfer(&request, of_soa),
        };
        let count = messages.len();
        for (at, message) in messages.iter_mut().enumerate() {
            let signed = at == 0 || at + 1 == count || at % self.signed_every == 0;
            match &mut sequence {
                Some(sequence) if signed => sequence.sign(message, NOW),
                Some(sequence) => sequence.pass(message),
                None => {}
            }
        }
        messages
    }

    fn transfer(&self, request: &Request, of_soa: bool) -> Vec<Vec<u8>> {
        let writer = match (&request.kind, &self.delta) {
            _ if of_soa => TransferWriter::soa(request, &self.zone),
            (RequestKind::Changes(_), Some(delta)) => {
                TransferWriter::changes(request, &self.zone, [delta])
            }
            _ => TransferWriter::full(request, &self.zone),
        };
        let mut writer = writer.with_size(MESSAGE_OCTETS.min(1024), 200);
        let (mut messages, mut out) = (Vec::new(), Vec::new());
        while writer.next_message(&mut out) {
            messages.push(out.clone());
        }
        messages
    }

    /// A question for the SOA, as one for changes, whose answer is the same but for the type.
    fn soa_request(&self, message: &[u8]) -> Request {
        let kind = RequestKind::Changes(self.zone.soa().clone());
        let id = u16::from_be_bytes([message[0], message[1]]);
        Request { id, origin: self.zone.origin().to_owned(), kind, recursion_desired: false }
    }
}

/// Refuses all transfers.
pub fn refusing(zone: Zone) -> Script {
    Script { transfer_code: Some(rcode::REFUSED), ..Script::of(zone) }
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), message: &[u8]) {
    // A client that hung up wants no more.
    let _ = stream.write_u16(message.len() as u16).await;
    let _ = stream.write_all(message).await;
}

/// A secondary of primaries that are asked over TCP.
pub fn secondary(addresses: &[SocketAddr], key: Option<Arc<Key>>) -> Secondary {
    let primary = |address: &SocketAddr| Primary { address: *address, transport: Transport::Tcp };
    Secondary {
        origin: name("rpz.test"),
        primaries: addresses.iter().map(primary).collect(),
        key,
        allow_notify: Vec::new(),
        limits: TransferLimits::default(),
        hash_seed: 7,
    }
}
