//! The one service for messages about zones: word of changes is for those who take zones in,
//! questions are for those who hand them out.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;

use super::secondaries::Secondaries;
use crate::model::NameRef;
use crate::ports::{MessageSender, TransferService};
use crate::zone::wire::{rcode, refusal};

/// Both sides, as far as they are there.
pub struct ZoneService {
    /// Takes word of changes.
    pub secondaries: Option<Arc<Secondaries>>,
    /// Answers questions about zones of ours.
    pub published: Option<Arc<dyn TransferService>>,
}

impl ZoneService {
    /// The service; none where neither side is there.
    pub fn service(self) -> Option<Arc<dyn TransferService>> {
        let none = self.secondaries.is_none() && self.published.is_none();
        (!none).then(|| Arc::new(self) as Arc<dyn TransferService>)
    }

    fn notified(&self, message: &[u8], peer: SocketAddr) -> Option<Vec<u8>> {
        match &self.secondaries {
            Some(secondaries) => secondaries.notified(message, peer.ip()),
            None => refusal(message, rcode::NOTIMP),
        }
    }
}

#[async_trait]
impl TransferService for ZoneService {
    fn publishes(&self, zone: NameRef<'_>) -> bool {
        self.published.as_ref().is_some_and(|published| published.publishes(zone))
    }

    async fn datagram(&self, message: &[u8], peer: SocketAddr) -> Option<Vec<u8>> {
        match &self.published {
            _ if is_notify(message) => self.notified(message, peer),
            Some(published) => published.datagram(message, peer).await,
            None => refusal(message, rcode::REFUSED),
        }
    }

    async fn stream(&self, message: &[u8], peer: SocketAddr, answers: MessageSender) {
        let answer = match &self.published {
            _ if is_notify(message) => self.notified(message, peer),
            Some(published) => return published.stream(message, peer, answers).await,
            None => refusal(message, rcode::REFUSED),
        };
        if let Some(answer) = answer {
            // A peer that hung up wants no answer.
            let _ = answers.send(answer).await;
        }
    }
}

/// By the operation code (RFC 1996 section 3.1).
fn is_notify(message: &[u8]) -> bool {
    message.get(2).is_some_and(|octet| octet >> 3 & 0xf == 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;
    use crate::zone::wire::{Notify, Request, RequestKind};

    struct Publisher;

    #[async_trait]
    impl TransferService for Publisher {
        fn publishes(&self, _: NameRef<'_>) -> bool {
            true
        }

        async fn datagram(&self, _: &[u8], _: SocketAddr) -> Option<Vec<u8>> {
            Some(b"published".to_vec())
        }

        async fn stream(&self, _: &[u8], _: SocketAddr, answers: MessageSender) {
            answers.send(b"published".to_vec()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn each_message_goes_to_its_side_and_is_refused_where_that_is_not_there() {
        let peer = "192.0.2.1:53".parse().unwrap();
        let origin = Name::from_host("rpz.test").unwrap();
        let (mut word, mut question) = (Vec::new(), Vec::new());
        Notify { id: 1, origin: origin.clone(), soa: None }.write(&mut word);
        let kind = RequestKind::Full;
        Request { id: 1, origin, kind, recursion_desired: false }.write(&mut question);

        assert!(ZoneService { secondaries: None, published: None }.service().is_none());
        let published = Some(Arc::new(Publisher) as Arc<dyn TransferService>);
        let publishing = ZoneService { secondaries: None, published };
        let code = |answer: Option<Vec<u8>>| answer.unwrap()[3] & 0xf;
        assert_eq!(publishing.datagram(&question, peer).await, Some(b"published".to_vec()));
        assert_eq!(code(publishing.datagram(&word, peer).await), rcode::NOTIMP);
        let neither = ZoneService { secondaries: None, published: None };
        assert_eq!(code(neither.datagram(&question, peer).await), rcode::REFUSED);
        let (answers, mut said) = tokio::sync::mpsc::channel(4);
        publishing.stream(&word, peer, answers).await;
        assert_eq!(code(said.recv().await), rcode::NOTIMP);
    }
}
