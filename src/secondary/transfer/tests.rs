//! Transfers from scripted primaries: good ones, and every way in which one may fail.

use super::super::testing::{Datagrams, Fixed, NOW, Script, key, refusing, secondary, zone};
use super::super::tls::{Trust, client_config};
use super::*;
use crate::zone::Delta;
use crate::zone::wire::{TransferLimits, rcode};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

async fn ask(zone: Secondary, held: Option<&Zone>) -> Result<Refreshed, Vec<String>> {
    let asking = ByTransfer { zone: Arc::new(zone), clock: Arc::new(Fixed) };
    let validators = Validators::default();
    let held = held.map(|zone| Held { zone, exact: true, validators: &validators });
    let outcome = asking.refresh(held).await;
    outcome.map_err(|failed| failed.into_iter().map(|failure| failure.reason).collect())
}

async fn once(script: Script, held: Option<&Zone>) -> Result<Refreshed, Vec<String>> {
    let key = script.key.clone();
    ask(secondary(&[script.serve().await], key), held).await
}

fn taken(outcome: Result<Refreshed, Vec<String>>) -> (Zone, TransferKind) {
    match outcome.unwrap() {
        Refreshed::Transferred(zone, transfer) => (zone, transfer.kind),
        Refreshed::Unchanged => panic!("nothing came"),
    }
}

#[tokio::test]
async fn a_zone_comes_whole_and_then_by_its_changes() {
    let (old, new) = (zone(1, 500), zone(2, 520));
    let (first, kind) = taken(once(Script::of(old.clone()), None).await);
    assert_eq!(kind, TransferKind::Full);
    assert!(first.same_rules(&old));
    let unchanged = once(Script::of(old.clone()), Some(&first)).await;
    assert!(matches!(unchanged, Ok(Refreshed::Unchanged)));
    let delta = Some(Delta::between(&old, &new));
    let script = Script { delta, ..Script::of(new.clone()) };
    let (second, kind) = taken(once(script, Some(&first)).await);
    assert_eq!(kind, TransferKind::Changes);
    assert!(second.same_rules(&new));
}

#[tokio::test]
async fn changes_that_start_elsewhere_or_are_refused_are_asked_for_whole() {
    let (held, new) = (zone(1, 100), zone(3, 120));
    let delta = Some(Delta::between(&zone(2, 110), &new));
    let refused = |code| Script { changes_code: Some(code), ..Script::of(new.clone()) };
    for script in [
        Script { delta, ..Script::of(new.clone()) },
        refused(rcode::REFUSED),
        refused(rcode::NOTIMP),
        refused(rcode::SERVFAIL),
    ] {
        let (taken, kind) = taken(once(script, Some(&held)).await);
        assert_eq!(kind, TransferKind::Full);
        assert!(taken.same_rules(&new));
    }
}

#[tokio::test]
async fn a_version_of_which_records_were_left_out_takes_no_changes() {
    let (old, new) = (zone(1, 100), zone(2, 101));
    let delta = Some(Delta::between(&old, &new));
    let address = Script { delta, ..Script::of(new) }.serve().await;
    let zone = Arc::new(secondary(&[address], None));
    let asking = ByTransfer { zone, clock: Arc::new(Fixed) };
    let validators = Validators::default();
    let held = Held { zone: &old, exact: false, validators: &validators };
    let outcome = asking.refresh(Some(held)).await;
    assert_eq!(taken(outcome.map_err(|_| Vec::new())).1, TransferKind::Full);
}

#[tokio::test]
async fn a_transfer_that_is_cut_or_refused_brings_nothing() {
    let script = Script { messages_max: 2, ..Script::of(zone(1, 500)) };
    let error = once(script, None).await.unwrap_err();
    assert!(error[0].starts_with("the connection failed"), "{error:?}");
    let error = once(refusing(zone(1, 5)), None).await.unwrap_err();
    assert_eq!(error, ["the primary answers REFUSED (it does not hand the zone to us)"]);
}

#[tokio::test]
async fn sequences_may_have_messages_without_signature_between_signed_ones() {
    for signed_every in [1, 7, 99] {
        let key = Some(key(b"0123456789abcdef0123456789abcdef"));
        let script = Script { key, signed_every, ..Script::of(zone(1, 3000)) };
        assert_eq!(taken(once(script, None).await).0.len(), 3000);
    }
    let key = Some(key(b"0123456789abcdef0123456789abcdef"));
    let script = Script { key, signed_every: usize::MAX, ..Script::of(zone(1, 9000)) };
    assert_eq!(once(script, None).await.unwrap_err(), ["no signature"]);
}

#[tokio::test]
async fn a_wrong_key_and_a_missing_signature_bring_nothing() {
    let right = key(b"0123456789abcdef0123456789abcdef");
    let signs = Script { key: Some(right.clone()), ..Script::of(zone(1, 10)) };
    let address = signs.serve().await;
    let wrong = secondary(&[address], Some(key(b"another secret of some octets...")));
    let error = ask(wrong, None).await.unwrap_err();
    assert_eq!(error, ["the other side refuses our signature with error 16"]);
    let address = Script::of(zone(1, 10)).serve().await;
    let error = ask(secondary(&[address], Some(right)), None).await.unwrap_err();
    assert_eq!(error, ["the other side refuses our signature with error 17"]);
}

#[tokio::test]
async fn an_older_version_is_not_taken_and_the_next_primary_is_asked() {
    let held = zone(5, 10);
    let old = Script::of(zone(4, 10)).serve().await;
    let alone = ask(secondary(&[old], None), Some(&held)).await;
    assert_eq!(alone.unwrap_err(), ["it has serial 4, which is not newer than ours, 5"]);
    let new = Script::of(zone(6, 11)).serve().await;
    let both = ask(secondary(&[old, new], None), Some(&held)).await;
    assert_eq!(taken(both).0.len(), 11);
    let anew = ask(secondary(&[old], None), None).await;
    assert_eq!(taken(anew).0.soa().serial, Serial(4));
}

#[tokio::test]
async fn a_stream_without_end_is_cut_at_the_bound() {
    let address = Script::of(zone(1, 5000)).serve().await;
    let limits = TransferLimits { records_max: 1000, ..TransferLimits::default() };
    let bounded = Secondary { limits, ..secondary(&[address], None) };
    let error = ask(bounded, None).await.unwrap_err();
    assert_eq!(error, ["the transfer is larger than allowed"]);
}

#[tokio::test]
async fn the_version_is_asked_for_over_udp_and_then_over_tcp() {
    for (datagrams, key) in [
        (Datagrams::Answer, None),
        (Datagrams::Answer, Some(key(b"0123456789abcdef0123456789abcdef"))),
        (Datagrams::Truncate, None),
    ] {
        let script = Script { datagrams, key: key.clone(), ..Script::of(zone(2, 5)) };
        let mut ours = secondary(&[script.serve().await], key);
        ours.primaries[0].transport = Transport::Udp;
        let unchanged = ask(ours.clone(), Some(&zone(2, 5))).await;
        assert!(matches!(unchanged, Ok(Refreshed::Unchanged)), "{datagrams:?} {unchanged:?}");
        assert_eq!(taken(ask(ours, Some(&zone(1, 4))).await).0.len(), 5);
    }
}

/// A link that a script answers at its other end.
fn linked(script: Script) -> Link {
    let (near, far) = tokio::io::duplex(1 << 16);
    tokio::spawn(async move { script.answer(far).await });
    Link::over(near)
}

fn asking<'a>(zone: &'a Secondary) -> Asking<'a> {
    Asking { zone, primary: &zone.primaries[0], clock: &Fixed }
}

#[tokio::test(start_paused = true)]
async fn a_primary_that_falls_silent_or_drips_is_given_up() {
    let ours = secondary(&["192.0.2.1:53".parse().unwrap()], None);
    let (near, _far) = tokio::io::duplex(1 << 16);
    let error = asking(&ours).full(Link::over(near)).await.unwrap_err();
    assert_eq!(error.to_string(), "no answer within 30 s");

    // One message of a transfer every 20 s, for ever.
    let (near, mut far) = tokio::io::duplex(1 << 20);
    let endless = tokio::spawn(async move {
        let question = read_frame(&mut far).await;
        let zone = zone(1, 100_000);
        let request = crate::zone::wire::Request::read(&question).unwrap();
        let mut writer = crate::zone::wire::TransferWriter::full(&request, &zone);
        writer = writer.with_size(512, 0);
        let mut message = Vec::new();
        while writer.next_message(&mut message) {
            tokio::time::sleep(Duration::from_secs(20)).await;
            let frame = [&(message.len() as u16).to_be_bytes()[..], &message].concat();
            if far.write_all(&frame).await.is_err() {
                return;
            }
        }
    });
    let error = asking(&ours).full(Link::over(near)).await.unwrap_err();
    assert_eq!(error.to_string(), "the transfer took longer than 1800 s");
    endless.await.unwrap();
    let whole = asking(&ours).full(linked(Script::of(zone(1, 50)))).await;
    assert!(matches!(whole, Ok(Refreshed::Transferred(..))));
}

async fn read_frame(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Vec<u8> {
    use tokio::io::AsyncReadExt as _;
    let length = stream.read_u16().await.unwrap();
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await.unwrap();
    message
}

/// A primary over TLS: its certificate in PEM, the SHA-256 of its key, and its address.
async fn over_tls(script: Script, protocol: &[u8]) -> (String, [u8; 32], SocketAddr) {
    let made = rcgen::generate_simple_self_signed(["xfr.test".to_owned()]).unwrap();
    let der = made.cert.der().clone();
    let parsed = rustls::server::ParsedCertificate::try_from(&der).unwrap();
    let pin = ring::digest::digest(&ring::digest::SHA256, &parsed.subject_public_key_info());
    let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![der], key)
        .unwrap();
    config.alpn_protocols = vec![protocol.to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (script, acceptor) = (script.clone(), acceptor.clone());
            tokio::spawn(async move {
                if let Ok(tls) = acceptor.accept(tcp).await {
                    script.answer(tls).await;
                }
            });
        }
    });
    (made.cert.pem(), pin.as_ref().try_into().unwrap(), address)
}

#[tokio::test]
async fn over_tls_a_primary_is_known_by_its_certificate_or_its_key() {
    let (pem, pin, address) = over_tls(Script::of(zone(1, 5)), b"dot").await;
    let roots = super::super::tls::authorities(pem.as_bytes()).unwrap();
    let ask_as = async |name: &'static str, trust: Trust| {
        let config = client_config(trust).unwrap();
        let mut ours = secondary(&[address], None);
        let name = rustls_pki_types::ServerName::try_from(name).unwrap();
        ours.primaries[0].transport = Transport::Tls { name, config };
        ask(ours, None).await
    };
    let good = ask_as("xfr.test", Trust::Authorities(roots.clone())).await;
    assert_eq!(taken(good).0.len(), 5);
    assert_eq!(taken(ask_as("127.0.0.1", Trust::Pins(vec![[0; 32], pin])).await).0.len(), 5);
    for (name, trust) in [
        ("other.test", Trust::Authorities(roots)),
        ("xfr.test", Trust::usual()),
        ("xfr.test", Trust::Pins(vec![[0; 32]])),
    ] {
        let error = ask_as(name, trust.clone()).await.unwrap_err();
        assert!(error[0].starts_with("the connection failed: "), "{name} {trust:?} {error:?}");
    }
}

#[tokio::test]
async fn a_server_that_speaks_another_protocol_over_tls_is_left() {
    let (_, pin, address) = over_tls(Script::of(zone(1, 5)), b"h2").await;
    let config = client_config(Trust::Pins(vec![pin])).unwrap();
    let mut ours = secondary(&[address], None);
    let name = rustls_pki_types::ServerName::try_from("xfr.test").unwrap();
    ours.primaries[0].transport = Transport::Tls { name, config };
    let error = ask(ours, None).await.unwrap_err();
    assert!(error[0].contains("NoApplicationProtocol"), "{error:?}");
}

#[tokio::test]
async fn the_sequence_of_a_wrong_time_is_refused() {
    let key = key(b"0123456789abcdef0123456789abcdef");
    let script = Script { key: Some(key.clone()), ..Script::of(zone(1, 5)) };
    struct Late;
    impl Clock for Late {
        fn now(&self) -> Timestamp {
            NOW.plus_seconds(4000)
        }
    }
    let ours = Arc::new(secondary(&[script.serve().await], Some(key)));
    let asking = ByTransfer { zone: ours, clock: Arc::new(Late) };
    let failed = asking.refresh(None).await.unwrap_err();
    assert_eq!(failed[0].reason, "the other side refuses our signature with error 18");
}
