//! One client of the processor: the server's side of Engine.IO and Socket.IO, and the jobs in hand.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_ws::{AggregatedMessage, AggregatedMessageStream, Session};
use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use overdub_actors::link::codec::{
    self, Assembler, Handshake, Incoming, Kind, MAX_MESSAGE_BYTES, Packet, Placeholder,
};
use overdub_actors::link::fragments::{self, FRAGMENT_DATA, FRAGMENT_ERROR, FRAGMENT_PROCESSED};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::{Instant, interval_at, timeout};

use super::work::{Done, Refusal, Sound, Worker};

const PING_INTERVAL: Duration = Duration::from_secs(25);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a client may read nothing of what is sent to it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Fragments in hand for one client, and their bytes: more are refused as busy.
const MAX_JOBS: usize = 64;
const MAX_JOB_BYTES: usize = 128 << 20;
/// Namespaces that one client may join.
const MAX_NAMESPACES: usize = 8;

type Job = Pin<Box<dyn Future<Output = Finished>>>;

/// A job's end.
struct Finished {
    namespace: String,
    fragment: Box<RawValue>,
    size: usize,
    result: Result<Done, Refusal>,
}

/// What a fragment is called in the log.
#[derive(Deserialize)]
struct Named {
    id: String,
}

/// The argument of `fragment:data`. The fragment goes back as it came, to the byte.
#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    fragment: &'a RawValue,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct ProcessedReply<'a> {
    fragment: &'a RawValue,
    data: Placeholder,
    metadata: &'a serde_json::Value,
}

#[derive(Serialize)]
struct ErrorReply<'a> {
    fragment: &'a RawValue,
    error: &'a str,
    code: &'a str,
}

/// Serves one client until either end has enough.
pub async fn serve(session: Session, messages: AggregatedMessageStream, worker: Arc<Worker>) {
    let mut connection = Connection {
        session: session.clone(),
        assembler: Assembler::default(),
        worker,
        namespaces: Vec::new(),
        jobs: FuturesUnordered::new(),
        job_bytes: 0,
    };
    if let Err(error) = connection.run(messages).await {
        tracing::info!("client gone");
        tracing::debug!(reason = %format!("{error:#}"), "how it went");
    }
    // Already closed, most often.
    let _ = timeout(WRITE_TIMEOUT, session.close(None)).await;
}

struct Connection {
    session: Session,
    assembler: Assembler,
    worker: Arc<Worker>,
    namespaces: Vec<String>,
    jobs: FuturesUnordered<Job>,
    job_bytes: usize,
}

impl Connection {
    async fn run(&mut self, mut messages: AggregatedMessageStream) -> anyhow::Result<()> {
        let open = codec::encode_open(&Handshake {
            sid: format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..)),
            upgrades: Vec::new(),
            ping_interval: millis(PING_INTERVAL),
            ping_timeout: millis(PING_TIMEOUT),
            max_payload: Some(MAX_MESSAGE_BYTES as u64),
        })?;
        self.text(open).await?;
        let mut ping = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
        let mut pong_deadline = None;
        loop {
            let pong_missing = async {
                match pong_deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                message = messages.recv() => {
                    let message = message.context("client closed the connection")?;
                    let incoming = match message.map_err(|error| anyhow!("WebSocket: {error}"))? {
                        AggregatedMessage::Text(text) => self.assembler.text(&text.into_bytes())?,
                        AggregatedMessage::Binary(data) => self.assembler.binary(data)?,
                        AggregatedMessage::Ping(payload) => {
                            timeout(WRITE_TIMEOUT, self.session.pong(&payload)).await??;
                            continue;
                        }
                        AggregatedMessage::Pong(_) => continue,
                        AggregatedMessage::Close(_) => return Ok(()),
                    };
                    match incoming {
                        Incoming::Pong => pong_deadline = None,
                        Incoming::Ping(probe) => self.text(format!("3{probe}")).await?,
                        Incoming::Close => return Ok(()),
                        Incoming::Packet(packet) => self.packet(packet).await?,
                        Incoming::Open(_) | Incoming::Nothing => {}
                    }
                }
                Some(finished) = self.jobs.next() => self.reply(finished).await?,
                _ = ping.tick() => {
                    self.text("2".to_owned()).await?;
                    pong_deadline.get_or_insert(Instant::now() + PING_TIMEOUT);
                }
                () = pong_missing => bail!("no pong within {PING_TIMEOUT:?}"),
            }
        }
    }

    async fn packet(&mut self, packet: Packet) -> anyhow::Result<()> {
        let joined = self.namespaces.contains(&packet.namespace);
        match packet.kind {
            Kind::Connect if self.namespaces.len() >= MAX_NAMESPACES && !joined => {
                self.text(codec::encode_connect_error(&packet.namespace, "too many namespaces")).await
            }
            Kind::Connect => {
                let sid = format!("{:016x}", fastrand::u64(..));
                let message = codec::encode_connected(&packet.namespace, &sid);
                if !joined {
                    self.namespaces.push(packet.namespace);
                }
                self.text(message).await
            }
            Kind::Disconnect => {
                self.namespaces.retain(|namespace| *namespace != packet.namespace);
                Ok(())
            }
            Kind::Event if joined => self.event(packet).await,
            // The official server closes such a connection too.
            Kind::Event => bail!("event in a namespace that was not joined"),
            Kind::Ack | Kind::ConnectError => Ok(()),
        }
    }

    async fn event(&mut self, packet: Packet) -> anyhow::Result<()> {
        let event = packet.event()?;
        if event.name != FRAGMENT_DATA {
            return Ok(());
        }
        if let Some(ack) = packet.ack {
            self.text(codec::encode_ack(&packet.namespace, ack)).await?;
        }
        let argument = event.argument.context("fragment:data without an argument")?;
        let object: Data<'_> = serde_json::from_str(argument.get()).context("fragment:data")?;
        let fragment = object.fragment.to_owned();
        let audio = match fragments::audio(object.data, &packet.attachments) {
            Ok(audio) => audio,
            Err(detail) => {
                return self.refuse(&packet.namespace, &fragment, &Refusal::not_audio(detail)).await;
            }
        };
        if self.jobs.len() >= MAX_JOBS || self.job_bytes + audio.len() > MAX_JOB_BYTES {
            return self.refuse(&packet.namespace, &fragment, &Refusal::busy()).await;
        }
        let sound: Sound = serde_json::from_str(fragment.get()).unwrap_or_default();
        let size = audio.len();
        let worker = Arc::clone(&self.worker);
        let namespace = packet.namespace;
        self.job_bytes += size;
        self.jobs.push(Box::pin(async move {
            let result = worker.work(audio, sound).await;
            Finished { namespace, fragment, size, result }
        }));
        Ok(())
    }

    async fn reply(&mut self, finished: Finished) -> anyhow::Result<()> {
        let Finished { namespace, fragment, size, result } = finished;
        let id = serde_json::from_str::<Named>(fragment.get()).map(|named| named.id).unwrap_or_default();
        match &result {
            Ok(_) => tracing::info!(fragment = id, bytes = size, "processed"),
            Err(refusal) => tracing::warn!(fragment = id, bytes = size, error = refusal.error, "refused"),
        }
        self.job_bytes -= size;
        match result {
            Ok(Done { audio, metadata }) => {
                let reply =
                    ProcessedReply { fragment: &fragment, data: Placeholder::new(0), metadata: &metadata };
                self.text(codec::encode_event(&namespace, FRAGMENT_PROCESSED, &reply, 1)?).await?;
                self.binary(audio).await
            }
            Err(refusal) => self.refuse(&namespace, &fragment, &refusal).await,
        }
    }

    async fn refuse(
        &mut self,
        namespace: &str,
        fragment: &RawValue,
        refusal: &Refusal,
    ) -> anyhow::Result<()> {
        let reply = ErrorReply { fragment, error: &refusal.error, code: refusal.code };
        self.text(codec::encode_event(namespace, FRAGMENT_ERROR, &reply, 0)?).await
    }

    async fn text(&mut self, text: String) -> anyhow::Result<()> {
        Ok(timeout(WRITE_TIMEOUT, self.session.text(text)).await.context("client does not read")??)
    }

    async fn binary(&mut self, data: Bytes) -> anyhow::Result<()> {
        Ok(timeout(WRITE_TIMEOUT, self.session.binary(data)).await.context("client does not read")??)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
