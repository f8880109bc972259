//! A link with its ears open: what it reports comes out of a channel, with a deadline.

use std::path::{Path, PathBuf};
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler};
use overdub_actors::link::{LinkConfig, LinkLimits, ProcessorLink};
use overdub_actors::messages::{
    ChildEvent, ChildId, Fragment, FragmentMetadata, LinkEvent, Report, Reporter, SendFragment,
};
use overdub_actors::settings::StreamId;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Longest wait for anything.
pub const DEADLINE: Duration = Duration::from_secs(20);

struct Ear(mpsc::UnboundedSender<LinkEvent>);

impl Actor for Ear {
    type Context = Context<Self>;
}

impl Handler<Report> for Ear {
    type Result = ();
    fn handle(&mut self, report: Report, _: &mut Self::Context) {
        assert_eq!(report.child, ChildId::ProcessorLink("main".into()));
        assert_eq!(report.generation, 7);
        match report.event {
            ChildEvent::Link(event) => drop(self.0.send(event)),
            ChildEvent::Alive => {}
            other => panic!("a link does not say {other:?}"),
        }
    }
}

/// What a link says.
pub struct Ears(mpsc::UnboundedReceiver<LinkEvent>);

/// A link under test.
pub struct Kit {
    pub link: Addr<ProcessorLink>,
    ears: Ears,
    folder: tempfile::TempDir,
}

impl std::ops::Deref for Kit {
    type Target = Ears;
    fn deref(&self) -> &Ears {
        &self.ears
    }
}

impl std::ops::DerefMut for Kit {
    fn deref_mut(&mut self) -> &mut Ears {
        &mut self.ears
    }
}

/// Short waits, so that tests of reconnects are.
pub fn quick() -> LinkLimits {
    LinkLimits {
        backoff_min: Duration::from_millis(20),
        backoff_max: Duration::from_millis(100),
        ..LinkLimits::default()
    }
}

/// A link that is not started, and what it will say.
pub fn link(url: &str) -> (ProcessorLink, Ears) {
    let (sender, events) = mpsc::unbounded_channel();
    let reporter = Reporter {
        recipient: Ear(sender).start().recipient(),
        child: ChildId::ProcessorLink("main".into()),
        generation: 7,
        mailbox: Default::default(),
    };
    let config = LinkConfig {
        stream_id: StreamId::new("demo").unwrap(),
        rendition: "main".into(),
        url: url.to_owned(),
    };
    (ProcessorLink::new(config, reporter), Ears(events))
}

impl Ears {
    /// The next event.
    pub async fn next(&mut self) -> LinkEvent {
        timeout(DEADLINE, self.0.recv()).await.expect("an event in time").expect("a living link")
    }

    /// Checks that nothing more was said so far.
    pub fn expect_silence(&mut self) {
        assert!(self.0.try_recv().is_err());
    }

    pub async fn expect_connected(&mut self) {
        let event = self.next().await;
        assert!(matches!(event, LinkEvent::Connected), "{event:?}");
    }

    pub async fn expect_disconnected(&mut self) -> String {
        match self.next().await {
            LinkEvent::Disconnected { reason } => reason,
            other => panic!("{other:?}"),
        }
    }

    pub async fn expect_sent(&mut self, number: u64) {
        let event = self.next().await;
        assert!(matches!(event, LinkEvent::FragmentSent { batch } if batch == number), "{number}: {event:?}");
    }
}

impl Kit {
    pub fn start(url: &str) -> Self {
        Self::start_with(url, quick())
    }

    pub fn start_with(url: &str, limits: LinkLimits) -> Self {
        let (link, ears) = link(url);
        Self { link: link.with_limits(limits).start(), ears, folder: tempfile::tempdir().unwrap() }
    }

    /// Checks that the batch's reply is stored and gives its bytes.
    pub async fn expect_processed(&mut self, number: u64) -> Vec<u8> {
        match self.next().await {
            LinkEvent::FragmentProcessed { batch, bytes, .. } if batch == number => {
                let stored = std::fs::read(self.reply_path(number)).unwrap();
                assert_eq!(stored.len() as u64, bytes);
                stored
            }
            other => panic!("{number}: {other:?}"),
        }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn audio_path(&self, batch: u64) -> PathBuf {
        self.folder.path().join(format!("audio-{batch}.fmp4"))
    }

    pub fn reply_path(&self, batch: u64) -> PathBuf {
        self.folder.path().join(format!("processed-{batch}.fmp4"))
    }

    pub fn command(&self, batch: u64) -> SendFragment {
        let size = std::fs::metadata(self.audio_path(batch)).map_or(0, |metadata| metadata.len());
        SendFragment {
            batch,
            fragment: Fragment {
                id: format!("demo-{batch}"),
                stream_id: "demo".to_owned(),
                rendition: "main".to_owned(),
                language: Some("de".to_owned()),
                sequence_number: batch,
                batch_number: batch,
                timestamp: 1_767_225_600_000,
                duration: 30_016.5,
                codec: "aac".to_owned(),
                sample_rate: 48_000,
                channels: 2,
                content_type: "audio/mp4".to_owned(),
                size,
                metadata: FragmentMetadata {
                    file_name: "audio.fmp4".to_owned(),
                    file_size: size,
                    discontinuity: false,
                },
            },
            audio_path: self.audio_path(batch),
            reply_path: self.reply_path(batch),
        }
    }

    /// Writes the batch's audio and gives the command.
    pub fn send(&self, batch: u64, audio: &[u8]) {
        std::fs::write(self.audio_path(batch), audio).unwrap();
        self.link.do_send(self.command(batch));
    }
}

/// Bytes that begin like fMP4 and differ by `seed`.
pub fn audio(seed: u8, len: usize) -> Vec<u8> {
    let mut audio = b"\0\0\0\x18ftypiso5".to_vec();
    let mut state = u32::from(seed) + 1;
    audio.extend(
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .take(len.saturating_sub(12)),
    );
    audio
}
