//! Who waits for whom.

use std::process::Command;
use std::time::Duration;

use actix::Actor;
use tokio::sync::mpsc;

use super::super::{RemuxBatch, Remuxer};
use super::kit::{Stream, chirps, has_ffmpeg};
use crate::ledger::Fill;
use crate::messages::{ChildEvent, ChildId, RemuxerEvent, Report, Reporter};

struct Collector(mpsc::UnboundedSender<RemuxerEvent>);

impl Actor for Collector {
    type Context = actix::Context<Self>;
}

impl actix::Handler<Report> for Collector {
    type Result = ();

    fn handle(&mut self, report: Report, _: &mut Self::Context) {
        if let ChildEvent::Remuxer(event) = report.event {
            let _ = self.0.send(event);
        }
    }
}

#[actix::test]
async fn a_fallback_does_not_wait_for_replies_that_take_their_time() {
    if !has_ffmpeg() {
        return;
    }
    let stream = Stream::new(4, chirps);
    // Reading these replies takes until somebody writes them.
    let slow: Vec<_> = (0..3).map(|batch| stream.path(batch, "processed_audio.fmp4")).collect();
    for path in &slow {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }
    let (sender, mut said) = mpsc::unbounded_channel();
    let collector = Collector(sender).start();
    let child = ChildId::Remuxer("main".into());
    let (recipient, mailbox) = (collector.recipient(), Default::default());
    let reporter = Reporter { recipient, child, generation: 1, mailbox };
    let remuxer = Remuxer::new(stream.files.clone(), "main".into(), reporter).start();
    let fill = |batch: usize, fill: Fill| {
        let media = stream.batches[batch].clone();
        remuxer.do_send(RemuxBatch {
            batch: batch as u64,
            fill,
            media,
            output_wanted: false,
            ready_by: None,
        });
    };
    for batch in 0..3 {
        fill(batch, Fill::Processed);
    }
    fill(3, Fill::Original);
    let first = tokio::time::timeout(Duration::from_secs(30), said.recv()).await;
    // Whoever still reads is let go, or the runtime would wait for him.
    for path in slow {
        std::thread::spawn(move || std::fs::write(path, b"no audio"));
    }
    let first = first.expect("the fallback is ready while the others are being read").unwrap();
    assert!(matches!(first, RemuxerEvent::BatchRemuxed { batch: 3, .. }), "{first:?}");
    for _ in 0..3 {
        let next = tokio::time::timeout(Duration::from_secs(30), said.recv()).await.unwrap().unwrap();
        assert!(matches!(next, RemuxerEvent::RemuxFailed { .. }), "{next:?}");
    }
}
