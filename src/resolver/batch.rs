//! Many datagrams with one system call, and each answered from the address it was sent to.
//!
//! The system calls (recvmmsg, sendmmsg, sendmsg with IP_PKTINFO) have no safe wrapper that fits:
//! nix 0.31 does not reset the control lengths between calls and sends one source address for a
//! whole batch; rustix and the standard library have neither. This is the one module with unsafe
//! code. What makes it sound: every pointer that the kernel sees points into a boxed slice that
//! its [`Batch`] owns and never moves, or into a local of the calling function; every length is
//! that of the memory behind the pointer; what is read back was zeroed first.
#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::ptr;

/// Where an answer goes, and the address it has to come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReturnPath {
    /// The client.
    pub peer: SocketAddr,
    /// Where the client sent its query, with the interface it came in by; known on sockets that
    /// are bound to a wildcard address and tell ([`tell_destination`]).
    pub local: Option<(IpAddr, u32)>,
}

/// One datagram of a batch.
pub struct Slot<'b> {
    /// What came in; what was longer than the buffer is cut.
    pub packet: &'b [u8],
    /// Where its answer goes; none for a datagram without an Internet address.
    pub path: Option<ReturnPath>,
    /// What goes out by [`Batch::send`]; nothing where it is empty.
    pub reply: &'b mut Vec<u8>,
}

/// What became of the replies of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// Replies the kernel took.
    pub sent: usize,
    /// Replies it did not take: no route, no room.
    pub failed: usize,
}

/// Buffers for datagrams in and out, used over and over.
pub struct Batch {
    datagram_octets: usize,
    received: usize,
    incoming: Headers,
    outgoing: Headers,
    packets: Box<[u8]>,
    replies: Box<[Vec<u8>]>,
}

/// Room for one address of either family, and for one message about where a datagram was sent.
#[repr(C)]
#[derive(Clone, Copy)]
union Address {
    family: libc::sa_family_t,
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

#[repr(C)]
union Control {
    _align: libc::cmsghdr,
    octets: [u8; CONTROL_OCTETS],
}

/// The larger of the two kinds, in6_pktinfo: 16 octets header, 20 octets content, padded.
const CONTROL_OCTETS: usize = 40;
const _: () = assert!(
    // SAFETY: CMSG_SPACE only computes.
    unsafe { libc::CMSG_SPACE(size_of::<libc::in6_pktinfo>() as u32) as usize } <= CONTROL_OCTETS
);

/// The kernel's view of a number of datagrams.
struct Headers {
    messages: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
    addresses: Box<[Address]>,
    controls: Box<[Control]>,
}

impl Headers {
    fn new(count: usize) -> Self {
        // SAFETY: all four are C structures for which all zeros is a value.
        let mut headers = unsafe {
            Self {
                messages: (0..count).map(|_| mem::zeroed()).collect(),
                vectors: (0..count).map(|_| mem::zeroed()).collect(),
                addresses: (0..count).map(|_| mem::zeroed()).collect(),
                controls: (0..count).map(|_| mem::zeroed()).collect(),
            }
        };
        for at in 0..count {
            let message = &mut headers.messages[at].msg_hdr;
            message.msg_name = ptr::from_mut(&mut headers.addresses[at]).cast();
            message.msg_iov = ptr::from_mut(&mut headers.vectors[at]);
            message.msg_iovlen = 1;
            message.msg_control = ptr::from_mut(&mut headers.controls[at]).cast();
        }
        headers
    }

    fn expect(&mut self, at: usize) {
        let message = &mut self.messages[at].msg_hdr;
        message.msg_namelen = size_of::<Address>() as libc::socklen_t;
        message.msg_controllen = CONTROL_OCTETS as _;
        message.msg_flags = 0;
    }

    fn address(&mut self, at: usize, path: &ReturnPath, reply: &[u8]) {
        self.vectors[at].iov_base = reply.as_ptr().cast_mut().cast();
        self.vectors[at].iov_len = reply.len();
        let message = &mut self.messages[at].msg_hdr;
        message.msg_namelen = write_address(&path.peer, &mut self.addresses[at]);
        message.msg_controllen = match path.local {
            Some((local, interface)) => write_control(local, interface, &mut self.controls[at]),
            None => 0,
        } as _;
    }
}

impl Batch {
    /// Room for so many datagrams of so many octets, and for replies of so many.
    pub fn new(datagrams: usize, datagram_octets: usize, reply_octets: usize) -> Self {
        let mut batch = Self {
            datagram_octets,
            received: datagrams,
            incoming: Headers::new(datagrams),
            outgoing: Headers::new(datagrams),
            packets: vec![0; datagrams * datagram_octets].into(),
            replies: (0..datagrams).map(|_| Vec::with_capacity(reply_octets)).collect(),
        };
        for (vector, packet) in
            batch.incoming.vectors.iter_mut().zip(batch.packets.chunks_exact_mut(datagram_octets))
        {
            vector.iov_base = packet.as_mut_ptr().cast();
            vector.iov_len = datagram_octets;
        }
        batch
    }

    /// Waits for a datagram and takes as many as are there. The socket's read timeout ends the
    /// wait with [`io::ErrorKind::WouldBlock`].
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        for at in 0..mem::take(&mut self.received) {
            self.incoming.expect(at);
            self.replies[at].clear();
        }
        // SAFETY: each of the headers points to an address, a control buffer and a vector of this
        // batch, and the vector to a part of `packets`; all stay where they are (see above).
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.incoming.messages.as_mut_ptr(),
                self.incoming.messages.len() as libc::c_uint,
                libc::MSG_WAITFORONE as _,
                ptr::null_mut(),
            )
        };
        self.received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        Ok(self.received)
    }

    /// The datagram at a position below what [`Batch::receive`] returned.
    pub fn slot(&mut self, at: usize) -> Slot<'_> {
        let message = &self.incoming.messages[at];
        let length = (message.msg_len as usize).min(self.datagram_octets);
        let header = &message.msg_hdr;
        let peer = read_address(&self.incoming.addresses[at], header.msg_namelen as usize);
        let local = read_control(header);
        Slot {
            packet: &self.packets[at * self.datagram_octets..][..length],
            path: peer.map(|peer| ReturnPath { peer, local }),
            reply: &mut self.replies[at],
        }
    }

    /// Sends what was written into the slots since [`Batch::receive`]. Never waits: UDP may lose.
    pub fn send(&mut self, socket: &UdpSocket) -> Sent {
        let mut count = 0;
        for at in 0..self.received {
            if self.replies[at].is_empty() {
                continue;
            }
            let Some(path) = self.slot(at).path else { continue };
            self.outgoing.address(count, &path, &self.replies[at]);
            count += 1;
        }
        let mut result = Sent::default();
        let mut next = 0;
        while next < count {
            // SAFETY: the headers from `next` to `count` were just written: they point to
            // addresses, control buffers and vectors of this batch, and the vectors to `replies`,
            // which nobody changes before this function returns.
            let sent = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    self.outgoing.messages[next..].as_mut_ptr(),
                    (count - next) as libc::c_uint,
                    libc::MSG_DONTWAIT as _,
                )
            };
            // An error is about the first one, which is passed over.
            let sent = usize::try_from(sent).unwrap_or(0);
            result.sent += sent;
            result.failed += usize::from(sent == 0);
            next += sent.max(1);
        }
        result
    }
}

/// Sends one datagram, without waiting.
pub fn send_one(socket: &UdpSocket, path: &ReturnPath, octets: &[u8]) -> io::Result<()> {
    let mut headers = Headers::new(1);
    headers.address(0, path, octets);
    // SAFETY: the header points to an address, a control buffer and a vector of `headers`, and the
    // vector to `octets`; all outlive the call.
    let sent = unsafe {
        libc::sendmsg(socket.as_raw_fd(), &headers.messages[0].msg_hdr, libc::MSG_DONTWAIT)
    };
    match sent < 0 {
        true => Err(io::Error::last_os_error()),
        false => Ok(()),
    }
}

/// Makes a socket tell where each datagram was sent, which one bound to a wildcard address has to
/// know: its answers must come from there. Does nothing for other sockets.
pub fn tell_destination(socket: &UdpSocket) -> io::Result<()> {
    use nix::sys::socket::{setsockopt, sockopt};
    match socket.local_addr()?.ip() {
        IpAddr::V4(address) if address.is_unspecified() => {
            setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?;
        }
        IpAddr::V6(address) if address.is_unspecified() => {
            setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
        _ => {}
    }
    Ok(())
}

fn read_address(address: &Address, length: usize) -> Option<SocketAddr> {
    // SAFETY: the union was zeroed and then written by the kernel; every bit pattern is a value of
    // each member, and the length says that the member was written whole.
    unsafe {
        match i32::from(address.family) {
            libc::AF_INET if length >= size_of::<libc::sockaddr_in>() => {
                let raw = address.v4;
                let ip = Ipv4Addr::from(u32::from_be(raw.sin_addr.s_addr));
                Some(SocketAddrV4::new(ip, u16::from_be(raw.sin_port)).into())
            }
            libc::AF_INET6 if length >= size_of::<libc::sockaddr_in6>() => {
                let raw = address.v6;
                let ip = Ipv6Addr::from(raw.sin6_addr.s6_addr);
                let port = u16::from_be(raw.sin6_port);
                Some(SocketAddrV6::new(ip, port, raw.sin6_flowinfo, raw.sin6_scope_id).into())
            }
            _ => None,
        }
    }
}

/// Writes an address and says how long it is.
fn write_address(from: &SocketAddr, to: &mut Address) -> libc::socklen_t {
    match from {
        SocketAddr::V4(v4) => {
            // SAFETY: all zeros is a sockaddr_in.
            let mut raw: libc::sockaddr_in = unsafe { mem::zeroed() };
            raw.sin_family = libc::AF_INET as libc::sa_family_t;
            raw.sin_port = v4.port().to_be();
            raw.sin_addr.s_addr = u32::from(*v4.ip()).to_be();
            to.v4 = raw;
            size_of::<libc::sockaddr_in>() as libc::socklen_t
        }
        SocketAddr::V6(v6) => {
            // SAFETY: all zeros is a sockaddr_in6.
            let mut raw: libc::sockaddr_in6 = unsafe { mem::zeroed() };
            raw.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            raw.sin6_port = v6.port().to_be();
            raw.sin6_flowinfo = v6.flowinfo();
            raw.sin6_addr.s6_addr = v6.ip().octets();
            raw.sin6_scope_id = v6.scope_id();
            to.v6 = raw;
            size_of::<libc::sockaddr_in6>() as libc::socklen_t
        }
    }
}

fn read_control(header: &libc::msghdr) -> Option<(IpAddr, u32)> {
    if header.msg_controllen == 0 {
        return None;
    }
    // SAFETY: the kernel wrote `msg_controllen` octets of whole control messages into the buffer
    // behind `msg_control`, which is aligned for them; the data is read without regard to
    // alignment and only where its level and type say that it is there.
    unsafe {
        let mut control = libc::CMSG_FIRSTHDR(header);
        while !control.is_null() {
            let data = libc::CMSG_DATA(control);
            match ((*control).cmsg_level, (*control).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info = data.cast::<libc::in_pktinfo>().read_unaligned();
                    let local = Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr));
                    return Some((local.into(), 0));
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info = data.cast::<libc::in6_pktinfo>().read_unaligned();
                    let local = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                    // Elsewhere the routing table knows the way out better than the way in.
                    let link_local = local.is_unicast_link_local();
                    let interface = if link_local { info.ipi6_ifindex } else { 0 };
                    return Some((local.into(), interface as u32));
                }
                _ => control = libc::CMSG_NXTHDR(header, control),
            }
        }
    }
    None
}

/// Writes the message that sets a datagram's source and says how long it is.
fn write_control(local: IpAddr, interface: u32, to: &mut Control) -> usize {
    // SAFETY: the buffer is aligned for a header and has room for it and either content (checked
    // above at compile time); a local header makes CMSG_FIRSTHDR point to the buffer's front.
    unsafe {
        *to = mem::zeroed();
        let mut header: libc::msghdr = mem::zeroed();
        header.msg_control = ptr::from_mut(to).cast();
        header.msg_controllen = CONTROL_OCTETS as _;
        let control = libc::CMSG_FIRSTHDR(&header);
        let data = libc::CMSG_DATA(control);
        let length = match local {
            IpAddr::V4(v4) => {
                (*control).cmsg_level = libc::IPPROTO_IP;
                (*control).cmsg_type = libc::IP_PKTINFO;
                let mut info: libc::in_pktinfo = mem::zeroed();
                info.ipi_spec_dst.s_addr = u32::from(v4).to_be();
                data.cast::<libc::in_pktinfo>().write_unaligned(info);
                size_of_val(&info)
            }
            IpAddr::V6(v6) => {
                (*control).cmsg_level = libc::IPPROTO_IPV6;
                (*control).cmsg_type = libc::IPV6_PKTINFO;
                let mut info: libc::in6_pktinfo = mem::zeroed();
                info.ipi6_addr.s6_addr = v6.octets();
                info.ipi6_ifindex = interface as _;
                data.cast::<libc::in6_pktinfo>().write_unaligned(info);
                size_of_val(&info)
            }
        } as libc::c_uint;
        (*control).cmsg_len = libc::CMSG_LEN(length) as _;
        libc::CMSG_SPACE(length) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(address: &str) -> UdpSocket {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
        socket
    }

    #[test]
    fn a_batch_takes_what_is_there_and_answers_each_sender() {
        let (server, a, b) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"), socket("127.0.0.1:0"));
        let to = server.local_addr().unwrap();
        a.send_to(b"one", to).unwrap();
        b.send_to(b"two", to).unwrap();
        a.send_to(b"silence", to).unwrap();
        let mut batch = Batch::new(8, 5, 16);
        assert_eq!(batch.receive(&server).unwrap(), 3);
        for at in 0..3 {
            let slot = batch.slot(at);
            if at < 2 {
                slot.reply.extend_from_slice(b"re: ");
                slot.reply.extend_from_slice(slot.packet);
            }
        }
        assert_eq!(batch.slot(2).packet, b"silen");
        assert_eq!(batch.slot(0).path.unwrap().peer, a.local_addr().unwrap());
        assert_eq!(batch.send(&server), Sent { sent: 2, failed: 0 });
        let mut octets = [0; 32];
        for (client, expected) in [(&a, b"re: one"), (&b, b"re: two")] {
            let (length, from) = client.recv_from(&mut octets).unwrap();
            assert_eq!((&octets[..length], from), (&expected[..], to));
        }
        // The buffers are as good as new.
        b.send_to(b"again", to).unwrap();
        assert_eq!(batch.receive(&server).unwrap(), 1);
        let slot = batch.slot(0);
        assert!(slot.reply.is_empty());
        assert_eq!(
            (slot.packet, slot.path.unwrap().peer),
            (&b"again"[..], b.local_addr().unwrap())
        );
    }

    #[test]
    fn a_wildcard_socket_answers_from_the_address_that_was_asked() {
        for (wildcard, asked) in [("0.0.0.0:0", "127.0.0.9"), ("[::]:0", "::1")] {
            let server = socket(wildcard);
            tell_destination(&server).unwrap();
            let to = SocketAddr::new(asked.parse().unwrap(), server.local_addr().unwrap().port());
            let client = socket(if to.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" });
            let mut octets = [0; 8];
            let mut batch = Batch::new(2, 8, 8);
            client.send_to(b"q", to).unwrap();
            assert_eq!(batch.receive(&server).unwrap(), 1);
            let path = batch.slot(0).path.unwrap();
            assert_eq!(path.local.unwrap().0, to.ip());
            batch.slot(0).reply.push(b'a');
            assert_eq!(batch.send(&server).sent, 1);
            assert_eq!(client.recv_from(&mut octets).unwrap(), (1, to));
            send_one(&server, &path, b"later").unwrap();
            assert_eq!(client.recv_from(&mut octets).unwrap(), (5, to));
        }
    }

    #[test]
    fn a_reply_that_cannot_be_sent_does_not_stop_the_others() {
        let (server, client) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
        for _ in 0..3 {
            client.send_to(b"q", server.local_addr().unwrap()).unwrap();
        }
        let mut batch = Batch::new(4, 8, 8);
        assert_eq!(batch.receive(&server).unwrap(), 3);
        for at in 0..3 {
            let reply = batch.slot(at).reply;
            // More than a datagram can be.
            reply.resize(if at == 0 { 70_000 } else { 1 }, b'a');
        }
        assert_eq!(batch.send(&server), Sent { sent: 2, failed: 1 });
    }
}
