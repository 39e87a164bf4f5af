//! Server cookies (RFC 7873) that servers behind one address can share (RFC 9018).
//!
//! Every client that sends a cookie gets one back, so that it can tell our answers from forged
//! ones. Queries without one are answered all the same.

use std::hash::Hasher as _;
use std::net::IpAddr;

use siphasher::sip::SipHasher24;

use crate::model::Timestamp;

/// Octets of the whole option: eight are the client's, sixteen ours.
pub const COOKIE_OCTETS: usize = 24;
const CLIENT_OCTETS: usize = 8;
/// RFC 9018 section 4.3.
const AGE_SECONDS_MAX: u32 = 3600;
const AHEAD_SECONDS_MAX: u32 = 300;
/// Version 1 and three reserved octets (RFC 9018 section 4).
const VERSION: [u8; 4] = [1, 0, 0, 0];

/// The cookie for a client that sent `received`, of which the first eight octets are its own;
/// none where it sent fewer.
pub fn cookie(
    secret: &[u8; 16],
    received: &[u8],
    client: IpAddr,
    now: Timestamp,
) -> Option<[u8; COOKIE_OCTETS]> {
    let mut cookie = [0; COOKIE_OCTETS];
    cookie[..CLIENT_OCTETS].copy_from_slice(received.get(..CLIENT_OCTETS)?);
    cookie[8..12].copy_from_slice(&VERSION);
    cookie[12..16].copy_from_slice(&now.0.to_be_bytes());
    let mut hasher = SipHasher24::new_with_key(secret);
    hasher.write(&cookie[..16]);
    match client {
        IpAddr::V4(v4) => hasher.write(&v4.octets()),
        IpAddr::V6(v6) => hasher.write(&v6.octets()),
    }
    cookie[16..].copy_from_slice(&hasher.finish().to_le_bytes());
    Some(cookie)
}

/// Whether a client shows a cookie that we gave to it lately, and so is where it says (RFC 9018
/// section 4.3: not older than an hour, not more than five minutes ahead).
pub fn is_ours(secret: &[u8; 16], received: &[u8], client: IpAddr, now: Timestamp) -> bool {
    let Some(at) = received.get(12..16).and_then(|octets| octets.try_into().ok()) else {
        return false;
    };
    let at = u32::from_be_bytes(at);
    let lately = now.0.saturating_sub(at) <= AGE_SECONDS_MAX
        && at.saturating_sub(now.0) <= AHEAD_SECONDS_MAX;
    lately && cookie(secret, received, client, Timestamp(at)).is_some_and(|ours| ours == received)
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;

    #[test]
    fn cookies_are_those_of_rfc_9018_appendix_a() {
        for (secret, client_cookie, client, now, server_cookie) in [
            (
                "e5e973e5a6b2a43f48e7dc849e37bfcf",
                "2464c4abcf10c957",
                "198.51.100.100",
                1_559_731_985,
                "010000005cf79f111f8130c3eee29480",
            ),
            (
                "e5e973e5a6b2a43f48e7dc849e37bfcf",
                "2464c4abcf10c957",
                "198.51.100.100",
                1_559_734_385,
                "010000005cf7a871d4a564a1442aca77",
            ),
            (
                "445536bcd2513298075a5d379663c962",
                "22681ab97d52c298",
                "2001:db8:220:1:59de:d0f4:8769:82b8",
                1_559_741_961,
                "010000005cf7c609a6bb79d16625507a",
            ),
        ] {
            let key = HEXLOWER.decode(secret.as_bytes()).unwrap().try_into().unwrap();
            let received = HEXLOWER.decode(client_cookie.as_bytes()).unwrap();
            let made = cookie(&key, &received, client.parse().unwrap(), Timestamp(now)).unwrap();
            assert_eq!(HEXLOWER.encode(&made), format!("{client_cookie}{server_cookie}"));
        }
    }

    #[test]
    fn a_cookie_is_ours_for_its_client_and_for_an_hour() {
        let client = "192.0.2.1".parse().unwrap();
        let made = cookie(&[7; 16], &[5; 8], client, Timestamp(10_000)).unwrap();
        let shown = |secret: u8, client: &str, now| {
            is_ours(&[secret; 16], &made, client.parse().unwrap(), Timestamp(now))
        };
        assert!(shown(7, "192.0.2.1", 10_000) && shown(7, "192.0.2.1", 13_600));
        assert!(!shown(7, "192.0.2.1", 13_601) && !shown(7, "192.0.2.1", 9_699));
        assert!(!shown(8, "192.0.2.1", 10_000) && !shown(7, "192.0.2.2", 10_000));
        assert!(!is_ours(&[7; 16], &made[..8], client, Timestamp(10_000)));
    }

    #[test]
    fn a_cookie_that_is_too_short_gets_none() {
        let client = "192.0.2.1".parse().unwrap();
        assert_eq!(cookie(&[0; 16], &[1; 7], client, Timestamp(0)), None);
    }
}
