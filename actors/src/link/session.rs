//! One connection's life: handshake, namespace, fragments out, replies in, until it is lost.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until, timeout};

use super::LinkLimits;
use super::book::{Book, Match};
use super::codec::{self, Assembler, CodecError, Handshake, Incoming, Kind, Packet};
use super::dial::{dial, timeout_reason};
use super::fragments::{self, Reply};
use super::load::{self, Loaded, Loading};
use super::sniff;
use super::store::Storing;
use super::target::Target;
use super::wire::{Step, Wire, WireError};
use crate::messages::{ChildEvent, FragmentFault, LinkEvent, Reporter};

/// Replies that match nothing, in a row, after which the connection is not worth having.
const MAX_STRAYS: u32 = 1000;
/// Replies with more JSON than this are parsed off the arbiter's thread: base64 of minutes of audio.
const LARGE_PAYLOAD_BYTES: usize = 128 * 1024;
/// Messages from this size on leave buffers behind that are given back.
const LARGE_MESSAGE_BYTES: usize = 64 * 1024;
/// A server's own times are believed up to an hour.
const MAX_SERVER_WAIT_MS: u64 = 3_600_000;

/// What a connection works with; outlives it.
pub struct Shared {
    /// Where the processor is.
    pub target: Target,
    /// Which batches are with it.
    pub book: Rc<RefCell<Book>>,
    /// Wakes the connection when the book has changed.
    pub wake: Rc<Notify>,
    /// The way to the supervisor.
    pub reporter: Reporter,
    /// Takes replies to disk.
    pub storing: mpsc::Sender<Storing>,
    /// Deadlines.
    pub limits: LinkLimits,
}

/// Why a connection is over. Its text is what the supervisor is told.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// It never came to be.
    #[error("{0}")]
    Dial(String),
    /// What came is not Engine.IO or Socket.IO.
    #[error("not a Socket.IO server: {0}")]
    Protocol(#[from] CodecError),
    /// The server does not let us into the namespace.
    #[error("CONNECT_ERROR: {0}")]
    Refused(String),
    /// The server has gone quiet.
    #[error("ping timeout: no ping from the server for {0} ms")]
    PingTimeout(u128),
    /// The server closed the Engine.IO session.
    #[error("server closed the session")]
    Closed,
    /// The server threw us out of the namespace.
    #[error("server closed the namespace")]
    Left,
    /// The server does not read.
    #[error("server took no byte of a fragment for {} s", .0.as_secs_f32())]
    Stalled(Duration),
    /// The server answers what nobody asked.
    #[error("server sent {MAX_STRAYS} replies in a row that match nothing")]
    Strays,
    /// The socket.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The link itself ends.
    #[error("link is stopping")]
    Stopping,
}

/// A connection that has joined its namespace.
pub struct Session<'a> {
    shared: &'a Shared,
    wire: Wire,
    assembler: Assembler,
    limit: Option<u64>,
    ping_wait: Duration,
    ping_deadline: Instant,
    writing: Option<Writing>,
    strays: u32,
    /// Whether any fragment was answered over this connection.
    pub useful: bool,
}

struct Writing {
    batch: u64,
    deadline: Instant,
    written: u64,
}

/// Opens a connection and joins the namespace, within the deadline.
///
/// # Errors
/// Why it could not be.
pub async fn open(shared: &Shared) -> Result<Session<'_>, Lost> {
    let deadline = shared.limits.connect;
    match timeout(deadline, join(shared)).await {
        Ok(result) => result,
        Err(_) => Err(Lost::Dial(timeout_reason(deadline))),
    }
}

async fn join(shared: &Shared) -> Result<Session<'_>, Lost> {
    let namespace = &shared.target.namespace;
    let mut wire = dial(&shared.target).await.map_err(Lost::Dial)?;
    let mut assembler = Assembler::default();
    let mut handshake: Option<Handshake> = None;
    loop {
        let incoming = match wire.step().await? {
            Step::Text(message) => assembler.text(&message)?,
            Step::Binary(message) => assembler.binary(message)?,
            Step::Flushed => continue,
        };
        match incoming {
            Incoming::Open(open) => {
                wire.send_text(codec::encode_connect(namespace))?;
                handshake = Some(open);
            }
            Incoming::Close => return Err(Lost::Closed),
            Incoming::Ping(probe) => wire.answer(format!("3{probe}"))?,
            Incoming::Packet(packet) if packet.namespace == *namespace => match (packet.kind, &handshake) {
                (Kind::Connect, Some(handshake)) => {
                    return Ok(Session::new(shared, wire, assembler, handshake));
                }
                (Kind::ConnectError, _) => return Err(Lost::Refused(packet.error_message())),
                (Kind::Disconnect, _) => return Err(Lost::Left),
                _ => {}
            },
            Incoming::Packet(_) | Incoming::Pong | Incoming::Nothing => {}
        }
    }
}

impl<'a> Session<'a> {
    fn new(shared: &'a Shared, wire: Wire, assembler: Assembler, handshake: &Handshake) -> Self {
        let wait_ms = handshake.ping_interval.saturating_add(handshake.ping_timeout).min(MAX_SERVER_WAIT_MS);
        let ping_wait = Duration::from_millis(wait_ms);
        Self {
            shared,
            wire,
            assembler,
            limit: handshake.limit(),
            ping_wait,
            ping_deadline: Instant::now() + ping_wait,
            writing: None,
            strays: 0,
            useful: false,
        }
    }

    /// Sends what waits and takes what comes until the connection is lost; says why, and whether it was
    /// of any use.
    pub async fn serve(mut self) -> (Lost, bool) {
        let mut loading: Option<Loading> = None;
        loop {
            if loading.is_none() && self.writing.is_none() {
                // One fragment at a time is in memory; the others wait on disk.
                let next = self.shared.book.borrow_mut().take_next();
                let namespace = &self.shared.target.namespace;
                loading = next.map(|command| load::start(namespace.clone(), command, self.limit));
            }
            let stall_at = self.writing.as_ref().map_or(self.ping_deadline, |writing| writing.deadline);
            let done = tokio::select! {
                step = self.wire.step() => match step {
                    Ok(step) => {
                        let large = is_large(&step);
                        let taken = self.take(step).await;
                        if large {
                            self.wire = self.wire.trimmed();
                        }
                        taken
                    }
                    Err(error) => Err(error.into()),
                },
                loaded = load::finish(&mut loading) => {
                    loading = None;
                    self.write(loaded)
                }
                () = self.shared.wake.notified() => Ok(()),
                () = sleep_until(self.ping_deadline) => Err(Lost::PingTimeout(self.ping_wait.as_millis())),
                () = sleep_until(stall_at), if self.writing.is_some() => self.check_stall(),
            };
            if let Err(lost) = done {
                return (lost, self.useful);
            }
        }
    }

    fn write(&mut self, Loaded { batch, outcome }: Loaded) -> Result<(), Lost> {
        if !self.shared.book.borrow().is_wanted(batch) {
            return Ok(());
        }
        let (header, audio) = match outcome {
            Ok(outgoing) => outgoing,
            Err(fault) => {
                self.shared.book.borrow_mut().give_up(batch);
                self.tell(LinkEvent::FragmentFailed { batch, fault });
                return Ok(());
            }
        };
        self.wire.send_text(header)?;
        self.wire.send_binary(audio)?;
        let deadline = Instant::now() + self.shared.limits.stall;
        self.writing = Some(Writing { batch, deadline, written: self.wire.written() });
        Ok(())
    }

    fn check_stall(&mut self) -> Result<(), Lost> {
        let stall = self.shared.limits.stall;
        if let Some(writing) = &mut self.writing {
            let written = self.wire.written();
            if written == writing.written {
                return Err(Lost::Stalled(stall));
            }
            writing.written = written;
            writing.deadline = Instant::now() + stall;
        }
        Ok(())
    }

    async fn take(&mut self, step: Step) -> Result<(), Lost> {
        let incoming = match step {
            Step::Text(message) => self.assembler.text(&message)?,
            Step::Binary(message) => self.assembler.binary(message)?,
            Step::Flushed => {
                if let Some(Writing { batch, .. }) = self.writing.take() {
                    self.tell(LinkEvent::FragmentSent { batch });
                }
                return Ok(());
            }
        };
        match incoming {
            Incoming::Close => Err(Lost::Closed),
            Incoming::Ping(probe) => {
                self.ping_deadline = Instant::now() + self.ping_wait;
                self.tell(ChildEvent::Alive);
                Ok(self.wire.answer(format!("3{probe}"))?)
            }
            Incoming::Packet(packet) if packet.namespace == self.shared.target.namespace => match packet.kind
            {
                Kind::Event => self.event(packet).await,
                Kind::Disconnect => Err(Lost::Left),
                Kind::ConnectError => Err(Lost::Refused(packet.error_message())),
                Kind::Connect | Kind::Ack => Ok(()),
            },
            Incoming::Packet(_) | Incoming::Open(_) | Incoming::Pong | Incoming::Nothing => Ok(()),
        }
    }

    async fn event(&mut self, packet: Packet) -> Result<(), Lost> {
        let ack = packet.ack;
        let Some(reply) = decode(packet).await? else { return Ok(()) };
        if let Some(ack) = ack {
            // A processor that emits with a callback waits for this.
            self.wire.answer(codec::encode_ack(&self.shared.target.namespace, ack))?;
        }
        let (Reply::Processed { key, .. } | Reply::Failed { key, .. }) = &reply;
        let matched = self.shared.book.borrow_mut().answer(key);
        let (batch, path) = match matched {
            Match::First { batch, reply_path } => (batch, reply_path),
            Match::Again { batch } => return self.stray(LinkEvent::DuplicateReply { batch }),
            Match::Nothing => return self.stray(LinkEvent::UnmatchedReply),
        };
        self.strays = 0;
        self.useful = true;
        let fault = match reply {
            Reply::Failed { message, .. } => {
                FragmentFault::Refused { message: self.shared.target.scrub(&message) }
            }
            Reply::Processed { audio: Err(detail), .. } => FragmentFault::NotAudio { detail },
            Reply::Processed { audio: Ok(audio), metadata, .. } => match sniff::sniff(&audio) {
                Some(format) => {
                    let storing = Storing { batch, path, audio, format, metadata };
                    return self.shared.storing.send(storing).await.map_err(|_| Lost::Stopping);
                }
                None => FragmentFault::NotAudio { detail: sniff::describe(&audio) },
            },
        };
        self.tell(LinkEvent::FragmentFailed { batch, fault });
        Ok(())
    }

    fn stray(&mut self, event: LinkEvent) -> Result<(), Lost> {
        self.tell(event);
        self.strays += 1;
        if self.strays >= MAX_STRAYS { Err(Lost::Strays) } else { Ok(()) }
    }

    fn tell(&self, event: impl Into<ChildEvent>) {
        self.shared.reporter.tell(event);
    }
}

fn is_large(step: &Step) -> bool {
    match step {
        Step::Text(message) | Step::Binary(message) => message.len() >= LARGE_MESSAGE_BYTES,
        Step::Flushed => true,
    }
}

async fn decode(packet: Packet) -> Result<Option<Reply>, CodecError> {
    let is_large = packet.payload.len() > LARGE_PAYLOAD_BYTES;
    let decode = move || -> Result<Option<Reply>, CodecError> {
        let event = packet.event()?;
        Ok(fragments::decode_reply(&event, &packet.attachments))
    };
    if !is_large {
        return decode();
    }
    // Not joined only where the runtime is shutting down.
    tokio::task::spawn_blocking(decode).await.unwrap_or(Ok(None))
}
