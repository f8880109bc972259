//! The simple handshake (RTMP 1.0 5.2), both sides.
//!
//! The digest form that Flash players demanded is not needed to publish: servers fall back to the simple
//! form when bytes 4 to 7 of C1 are zero.

use bytes::{Buf, Bytes, BytesMut};

/// Bytes of C1, C2, S1 and S2.
pub const PACKET_LEN: usize = 1536;

/// Bytes of C1 or S1 that are random.
pub const RANDOM_LEN: usize = PACKET_LEN - 8;

const VERSION: u8 = 3;

/// Which side of the handshake this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Client,
    Server,
}

/// Why a handshake cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The first byte is no version that RTMP knows.
    #[error("handshake byte 0: {version:#04x} is not an RTMP version, the peer speaks something else")]
    Version {
        /// The byte received.
        version: u8,
    },
}

/// What came of the bytes received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are needed.
    NeedMore,
    /// Send these, then go on receiving.
    Reply(Bytes),
    /// Done; what is left in the buffer is chunks.
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Version and first packet of the peer are awaited.
    First,
    /// The peer's echo is awaited.
    Echo,
    Done,
}

/// A handshake in progress.
#[derive(Debug)]
pub struct Handshake {
    role: Role,
    state: State,
    own: Bytes,
}

impl Handshake {
    /// Begins as client: the bytes returned (C0, C1) go out first. `random` fills C1, repeated or cut as needed.
    #[must_use]
    pub fn client(time_ms: u32, random: &[u8]) -> (Self, Bytes) {
        let own = first_packet(time_ms, random);
        (Self { role: Role::Client, state: State::First, own: own.clone() }, own)
    }

    /// Begins as server, which waits for the client to speak.
    #[must_use]
    pub fn server(time_ms: u32, random: &[u8]) -> Self {
        Self { role: Role::Server, state: State::First, own: first_packet(time_ms, random) }
    }

    /// Takes what it can from `input`. Call again after a [`Progress::Reply`].
    pub fn receive(&mut self, input: &mut BytesMut) -> Result<Progress, HandshakeError> {
        match self.state {
            State::First => {
                if let Some(&version) = input.first() {
                    // RTMP 1.0 5.2.2: 4 to 31 are reserved for later versions, 32 to 255 are not allowed, so that
                    // text protocols can be told apart.
                    if !(VERSION..32).contains(&version) {
                        return Err(HandshakeError::Version { version });
                    }
                }
                if input.len() < 1 + PACKET_LEN {
                    return Ok(Progress::NeedMore);
                }
                input.advance(1);
                let packet = input.split_to(PACKET_LEN);
                self.state = State::Echo;
                // RTMP 1.0 5.2.4: C2 and S2 echo the peer's packet; its second field is when it was read, for
                // which the peer's own time does.
                let mut echo = BytesMut::with_capacity(2 * PACKET_LEN + 1);
                if self.role == Role::Server {
                    echo.extend_from_slice(&self.own);
                }
                echo.extend_from_slice(&packet[..4]);
                echo.extend_from_slice(&packet[..4]);
                echo.extend_from_slice(&packet[8..]);
                Ok(Progress::Reply(echo.freeze()))
            }
            State::Echo => {
                if input.len() < PACKET_LEN {
                    return Ok(Progress::NeedMore);
                }
                // Not compared: servers that use the digest form put a digest in place of the echo.
                input.advance(PACKET_LEN);
                self.state = State::Done;
                Ok(Progress::Done)
            }
            State::Done => Ok(Progress::Done),
        }
    }
}

/// C0 and C1, or S0 and S1.
fn first_packet(time_ms: u32, random: &[u8]) -> Bytes {
    let mut packet = BytesMut::with_capacity(1 + PACKET_LEN);
    packet.extend_from_slice(&[VERSION]);
    packet.extend_from_slice(&time_ms.to_be_bytes());
    packet.extend_from_slice(&[0; 4]);
    packet.extend(random.iter().copied().chain(std::iter::repeat(0)).take(RANDOM_LEN));
    packet.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn client_and_server_agree_and_leave_what_follows() {
        let (mut client, hello) = Handshake::client(7, &[1, 2, 3]);
        let mut server = Handshake::server(9, &[4, 5, 6]);
        let mut to_server = BytesMut::from(&hello[..]);
        let Progress::Reply(answer) = server.receive(&mut to_server).unwrap() else { panic!("no answer") };
        assert_eq!(answer.len(), 1 + 2 * PACKET_LEN);
        let mut to_client = BytesMut::from(&answer[..]);
        to_client.extend_from_slice(b"chunks");
        let Progress::Reply(echo) = client.receive(&mut to_client).unwrap() else { panic!("no echo") };
        assert_eq!(echo[..4], 9u32.to_be_bytes());
        assert_eq!(echo[8..11], [4, 5, 6]);
        assert_eq!(client.receive(&mut to_client), Ok(Progress::Done));
        assert_eq!(&to_client[..], b"chunks");
        to_server.extend_from_slice(&echo);
        assert_eq!(server.receive(&mut to_server), Ok(Progress::Done));
    }

    #[test]
    fn a_web_server_is_recognised_by_its_first_byte() {
        let (mut client, _) = Handshake::client(0, &[]);
        let mut input = BytesMut::from(&b"HTTP/1.1 400"[..]);
        assert_eq!(client.receive(&mut input), Err(HandshakeError::Version { version: b'H' }));
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_bytes_are_split(cuts in proptest::collection::vec(1usize..2000, 1..20)) {
            let (mut client, _) = Handshake::client(1, &[]);
            let answer = [&[3u8][..], &[7; 2 * PACKET_LEN]].concat();
            let mut input = BytesMut::new();
            let (mut at, mut replies, mut done) = (0, 0, false);
            for cut in cuts.into_iter().chain([answer.len()]) {
                let end = (at + cut).min(answer.len());
                input.extend_from_slice(&answer[at..end]);
                at = end;
                loop {
                    match client.receive(&mut input).unwrap() {
                        Progress::NeedMore => break,
                        Progress::Reply(_) => replies += 1,
                        Progress::Done => { done = true; break; }
                    }
                }
            }
            prop_assert!(done && replies == 1);
        }
    }
}
