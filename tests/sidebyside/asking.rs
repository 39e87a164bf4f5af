//! Many questions to one server, and what it says to each.

use std::net::UdpSocket;
use std::str::FromStr;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::Name;

use super::rules::Asked;

/// Questions under way at once for one thread.
const WINDOW: usize = 16;
/// Threads that ask.
const THREADS: usize = 6;
/// Silence that ends a round; what is not answered in any round is what a dropped query looks like.
const ROUND: Duration = Duration::from_millis(400);
const ROUNDS: usize = 3;
/// For what differs, once more and alone.
const PATIENT_ROUNDS: usize = 8;

/// What a query that nobody answers comes to.
pub const SILENCE: &str = "silence";

/// What the server at `port` says to each question.
pub fn verdicts(port: u16, questions: &[Asked]) -> Vec<String> {
    let part = questions.len().div_ceil(THREADS).max(1);
    std::thread::scope(|scope| {
        let ask = |part: &[Asked]| -> Vec<String> {
            part.chunks(WINDOW).flat_map(|window| ask_window(port, window, ROUNDS)).collect()
        };
        let parts: Vec<_> =
            questions.chunks(part).map(|part| scope.spawn(move || ask(part))).collect();
        parts.into_iter().flat_map(|part| part.join().expect("it does not panic")).collect()
    })
}

/// What the server says to one question when it is given time.
pub fn patient_verdict(port: u16, question: &Asked) -> String {
    ask_window(port, std::slice::from_ref(question), PATIENT_ROUNDS).remove(0)
}

fn ask_window(port: u16, window: &[Asked], rounds: usize) -> Vec<String> {
    let sockets: Vec<UdpSocket> = window
        .iter()
        .map(|asked| {
            let socket = UdpSocket::bind((asked.client, 0)).expect("loopback has a port");
            socket.connect(("127.0.0.1", port)).expect("loopback is there");
            socket.set_read_timeout(Some(ROUND)).expect("a timeout can be set");
            socket
        })
        .collect();
    let mut verdicts = vec![None; window.len()];
    for _ in 0..rounds {
        let open: Vec<usize> = (0..window.len()).filter(|at| verdicts[*at].is_none()).collect();
        for at in &open {
            let _ = sockets[*at].send(&query(&window[*at]));
        }
        for at in open {
            let mut reply = [0; 4096];
            let Ok(length) = sockets[at].recv(&mut reply) else { continue };
            let reply = Message::from_vec(&reply[..length]).expect("a reply is a message");
            // A datagram of the small Internet was lost: that is no verdict.
            if reply.metadata.response_code != ResponseCode::ServFail {
                verdicts[at] = Some(verdict(&reply));
            }
        }
    }
    verdicts.into_iter().map(|verdict| verdict.unwrap_or_else(|| SILENCE.to_owned())).collect()
}

fn query(asked: &Asked) -> Vec<u8> {
    let mut query = Message::new(4711, MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    let name = Name::from_str(&format!("{}.", asked.name)).expect("a sound name");
    query.add_query(Query::query(name, asked.rtype));
    query.to_vec().expect("a query can be written")
}

fn verdict(reply: &Message) -> String {
    if reply.metadata.truncation {
        return "truncated".to_owned();
    }
    let mut records: Vec<String> = reply
        .answers
        .iter()
        .map(|r| format!("{} {} {}", r.name.to_lowercase(), r.record_type(), r.data))
        .collect();
    records.sort();
    format!("{} {}", reply.metadata.response_code, records.join("; "))
}
