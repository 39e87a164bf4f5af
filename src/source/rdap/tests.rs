//! Asking registries, against scripted servers.

use std::collections::VecDeque;
use std::io::{Seek as _, Write as _};

use super::*;
use crate::ports::Fetched;

const NOW: Timestamp = Timestamp(1_787_500_000);
const LIST: &str =
    r#"{"version": "1.0", "services": [[["example"], ["https://rdap.nic.example/v1/"]]]}"#;
const FRESH: &str = r#"{"objectClassName": "domain", "ldhName": "shop.example",
    "events": [{"eventAction": "registration", "eventDate": "2026-08-18T09:12:44Z"}]}"#;

enum Reply {
    Body(&'static str),
    Status(u16, Option<u32>),
}

#[derive(Default)]
struct Script {
    replies: Mutex<VecDeque<Reply>>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl Fetch for Script {
    async fn fetch(&self, request: &FetchRequest) -> Result<FetchOutcome, FetchError> {
        self.asked.lock().push(request.location.to_string());
        let location = request.location.clone();
        match self.replies.lock().pop_front().expect("a prepared reply") {
            Reply::Body(text) => {
                let mut body = tempfile::tempfile().unwrap();
                body.write_all(text.as_bytes()).unwrap();
                body.rewind().unwrap();
                let octets = text.len() as u64;
                Ok(FetchOutcome::Fetched(Fetched { body, octets, validators: Default::default() }))
            }
            Reply::Status(status, retry_after_seconds) => {
                Err(FetchError::Status { location, status, retry_after_seconds })
            }
        }
    }
}

struct Texts;

#[async_trait]
impl Whois for Texts {
    async fn ask(&self, server: &str, line: &str) -> std::io::Result<String> {
        match (server, line) {
            (whois::IANA, "old") => Ok("whois: whois.nic.old\n".to_owned()),
            (whois::IANA, _) => Ok("status: ACTIVE\n".to_owned()),
            ("whois.nic.old", "shop.old") => Ok("created: 2001-02-03\n".to_owned()),
            _ => Err(std::io::ErrorKind::ConnectionRefused.into()),
        }
    }
}

fn registries(replies: impl IntoIterator<Item = Reply>) -> (Registries, Arc<Script>) {
    let replies = Mutex::new(replies.into_iter().collect());
    let script = Arc::new(Script { replies, ..Script::default() });
    (Registries::new(script.clone(), Some(Arc::new(Texts))), script)
}

fn name(text: &str) -> Name {
    Name::from_host(text).unwrap()
}

#[tokio::test]
async fn the_list_is_asked_once_a_day_and_a_server_rests_between_questions() {
    let (registries, script) =
        registries([Reply::Body(LIST), Reply::Body(FRESH), Reply::Status(404, None)]);
    let found = registries.ask(&name("shop.example"), NOW, 1).await.unwrap();
    assert_eq!(found.outcome, LookupOutcome::Found);
    assert_eq!(found.registered_at.unwrap().to_string(), "2026-08-18T09:12:44Z");
    assert_eq!(found.keep_until, NOW.plus_seconds(KEEP_FOUND_SECONDS));
    let resting = registries.ask(&name("free.example"), NOW, 1).await.unwrap_err();
    assert!(matches!(resting, NotNow::Resting { .. }), "{resting}");
    let later = NOW.plus_seconds(REST_SECONDS);
    let free = registries.ask(&name("free.example"), later, 1).await.unwrap();
    assert_eq!((free.outcome, free.registered_at), (LookupOutcome::NotFound, None));
    let asked = script.asked.lock().clone();
    let domain = |name: &str| format!("https://rdap.nic.example/v1/domain/{name}");
    assert_eq!(asked, [BOOTSTRAP.to_owned(), domain("shop.example"), domain("free.example")]);
}

#[tokio::test]
async fn a_server_that_was_asked_too_often_is_left_alone_as_long_as_it_says() {
    let (registries, _) = registries([Reply::Body(LIST), Reply::Status(429, Some(600))]);
    let limited = registries.ask(&name("shop.example"), NOW, 1).await.unwrap();
    assert_eq!(limited.outcome, LookupOutcome::Limited);
    let soon = registries.ask(&name("shop.example"), NOW.plus_seconds(599), 1).await;
    assert!(matches!(soon, Err(NotNow::Resting { until, .. }) if until == NOW.plus_seconds(600)));
}

#[tokio::test]
async fn where_rdap_leads_nowhere_whois_answers() {
    let (registries, _) = registries([Reply::Body(LIST)]);
    let found = registries.ask(&name("shop.old"), NOW, 1).await.unwrap();
    assert_eq!(found.protocol, RegistrationProtocol::Whois);
    assert_eq!(found.registered_at.unwrap().to_string(), "2001-02-03T00:00:00Z");
    assert_eq!(found.keep_until, NOW.plus_seconds(KEEP_SETTLED_SECONDS));
    assert_eq!(registries.ask(&name("shop.nowhere"), NOW, 1).await, Err(NotNow::Nobody));
}

#[tokio::test]
async fn an_old_list_is_better_than_none() {
    let (registries, _) = registries([
        Reply::Body(LIST),
        Reply::Body(FRESH),
        Reply::Status(500, None),
        Reply::Body(FRESH),
    ]);
    registries.ask(&name("shop.example"), NOW, 1).await.unwrap();
    let later = NOW.plus_seconds(2 * BOOTSTRAP_SECONDS);
    assert!(registries.ask(&name("shop.example"), later, 1).await.is_ok());
    let (registries, _) = self::registries([Reply::Body("<html>")]);
    let error = registries.ask(&name("shop.example"), NOW, 1).await.unwrap_err();
    assert!(matches!(error, NotNow::Bootstrap(_)), "{error}");
}
