//! Which batches are with the processor: pure bookkeeping, driven by the link.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use super::fragments::Key;
use crate::messages::SendFragment;
use crate::settings::StreamId;

/// Batches remembered after their deadline, so that a late reply can still be kept.
const CANCELLED_KEPT: usize = 256;
/// Batches remembered after their answer, so that a second one is known as such.
const ANSWERED_KEPT: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// To be sent over this connection.
    Waiting,
    /// Sent over this connection, or being sent.
    Sent,
    /// Past its deadline: never sent again.
    Cancelled,
}

#[derive(Debug)]
struct Entry {
    command: SendFragment,
    state: State,
}

/// What a reply belongs to.
#[derive(Debug, PartialEq, Eq)]
pub enum Match {
    /// The first answer of this batch.
    First {
        /// The batch's number.
        batch: u64,
        /// Where its audio goes.
        reply_path: PathBuf,
    },
    /// One more answer of a batch already answered.
    Again {
        /// The batch's number.
        batch: u64,
    },
    /// Nothing that is known.
    Nothing,
}

/// The batches of one link.
#[derive(Debug)]
pub struct Book {
    stream_id: StreamId,
    open: BTreeMap<u64, Entry>,
    answered: VecDeque<(u64, String)>,
}

impl Book {
    /// An empty book of `stream_id`.
    #[must_use]
    pub fn new(stream_id: StreamId) -> Self {
        Self { stream_id, open: BTreeMap::new(), answered: VecDeque::new() }
    }

    /// Notes a command. One that comes twice is sent twice: whoever commands knows why.
    pub fn add(&mut self, command: SendFragment) {
        let batch = command.batch;
        self.answered.retain(|(answered, _)| *answered != batch);
        self.open.insert(batch, Entry { command, state: State::Waiting });
    }

    /// Notes that a batch's deadline has passed; its reply, should it come, is still kept.
    pub fn cancel(&mut self, batch: u64) {
        if let Some(entry) = self.open.get_mut(&batch) {
            entry.state = State::Cancelled;
        }
        let cancelled = self.open.values().filter(|entry| entry.state == State::Cancelled).count();
        if cancelled > CANCELLED_KEPT {
            let oldest = self.open.iter().find(|(_, entry)| entry.state == State::Cancelled);
            let oldest = oldest.map(|(&batch, _)| batch);
            oldest.and_then(|batch| self.open.remove(&batch));
        }
    }

    /// Takes the batch to send next, the oldest first: its deadline is the nearest.
    pub fn take_next(&mut self) -> Option<SendFragment> {
        let entry = self.open.values_mut().find(|entry| entry.state == State::Waiting)?;
        entry.state = State::Sent;
        Some(entry.command.clone())
    }

    /// Whether the batch may still be sent: neither cancelled nor answered since it was taken.
    #[must_use]
    pub fn is_wanted(&self, batch: u64) -> bool {
        self.open.get(&batch).is_some_and(|entry| entry.state == State::Sent)
    }

    /// Notes that the connection is gone: what was sent over it is sent again over the next.
    pub fn connection_lost(&mut self) {
        for entry in self.open.values_mut().filter(|entry| entry.state == State::Sent) {
            entry.state = State::Waiting;
        }
    }

    /// Strikes a batch off without an answer: it cannot be sent at all.
    pub fn give_up(&mut self, batch: u64) {
        self.open.remove(&batch);
    }

    /// Finds the batch that a reply belongs to and strikes it off.
    pub fn answer(&mut self, key: &Key) -> Match {
        let by_id = key.id.as_ref().and_then(|id| {
            let open = self.open.iter().find(|(_, entry)| entry.command.fragment.id == *id);
            let answered = || self.answered.iter().find(|(_, answered)| answered == id);
            open.map(|(&batch, _)| batch).or_else(|| answered().map(|(batch, _)| *batch))
        });
        let is_ours = key.stream_id.as_deref() == Some(self.stream_id.as_str());
        let Some(batch) = by_id.or(key.batch.filter(|_| is_ours)) else { return Match::Nothing };
        if let Some(Entry { command, .. }) = self.open.remove(&batch) {
            self.answered.push_back((batch, command.fragment.id));
            if self.answered.len() > ANSWERED_KEPT {
                self.answered.pop_front();
            }
            return Match::First { batch, reply_path: command.reply_path };
        }
        match self.answered.iter().any(|(answered, _)| *answered == batch) {
            true => Match::Again { batch },
            false => Match::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::{Fragment, FragmentMetadata};

    fn book() -> Book {
        Book::new(StreamId::new("demo").unwrap())
    }

    fn command(batch: u64) -> SendFragment {
        SendFragment {
            batch,
            fragment: Fragment {
                id: format!("demo-{batch}"),
                stream_id: "demo".to_owned(),
                rendition: "main".to_owned(),
                language: None,
                sequence_number: batch,
                batch_number: batch,
                timestamp: 0,
                duration: 0.0,
                codec: "aac".to_owned(),
                sample_rate: 48_000,
                channels: 2,
                content_type: "audio/mp4".to_owned(),
                size: 0,
                metadata: FragmentMetadata {
                    file_name: "audio.fmp4".to_owned(),
                    file_size: 0,
                    discontinuity: false,
                },
            },
            audio_path: PathBuf::from("audio.fmp4"),
            reply_path: PathBuf::from(format!("reply-{batch}")),
        }
    }

    fn by_id(batch: u64) -> Key {
        Key { id: Some(format!("demo-{batch}")), ..Key::default() }
    }

    fn by_number(stream: &str, batch: u64) -> Key {
        Key { stream_id: Some(stream.to_owned()), batch: Some(batch), ..Key::default() }
    }

    fn first(batch: u64) -> Match {
        Match::First { batch, reply_path: PathBuf::from(format!("reply-{batch}")) }
    }

    fn sent(book: &mut Book) -> Vec<u64> {
        std::iter::from_fn(|| book.take_next()).map(|command| command.batch).collect()
    }

    #[test]
    fn the_oldest_batch_goes_first_and_each_goes_once() {
        let mut book = book();
        for batch in [9, 7, 8] {
            book.add(command(batch));
        }
        assert_eq!(sent(&mut book), [7, 8, 9]);
        assert_eq!(sent(&mut book), [0; 0]);
    }

    #[test]
    fn only_what_is_unanswered_and_uncancelled_is_sent_again_after_a_reconnect() {
        let mut book = book();
        for batch in 1..=4 {
            book.add(command(batch));
        }
        sent(&mut book);
        assert_eq!(book.answer(&by_id(1)), first(1));
        book.cancel(2);
        book.give_up(3);
        book.connection_lost();
        assert_eq!(sent(&mut book), [4]);
        assert!(book.is_wanted(4) && !book.is_wanted(1) && !book.is_wanted(2) && !book.is_wanted(3));
    }

    #[test]
    fn a_reply_is_matched_by_id_else_by_stream_and_number() {
        let mut book = book();
        for batch in 1..=3 {
            book.add(command(batch));
        }
        assert_eq!(book.answer(&by_number("demo", 2)), first(2));
        assert_eq!(book.answer(&by_number("other", 3)), Match::Nothing);
        assert_eq!(book.answer(&Key { batch: Some(3), ..Key::default() }), Match::Nothing);
        assert_eq!(book.answer(&Key::default()), Match::Nothing);
        let own_id = Key { id: Some("job-81".to_owned()), ..by_number("demo", 3) };
        assert_eq!(book.answer(&own_id), first(3));
        // The id decides where both are given.
        assert_eq!(book.answer(&Key { id: Some("demo-1".to_owned()), ..by_number("demo", 3) }), first(1));
    }

    #[test]
    fn a_second_reply_is_known_by_id_and_by_number() {
        let mut book = book();
        book.add(command(1));
        assert_eq!(book.answer(&by_id(1)), first(1));
        assert_eq!(book.answer(&by_id(1)), Match::Again { batch: 1 });
        assert_eq!(book.answer(&by_number("demo", 1)), Match::Again { batch: 1 });
        assert_eq!(book.answer(&by_number("demo", 2)), Match::Nothing);
        book.add(command(1));
        assert_eq!(book.answer(&by_id(1)), first(1));
    }

    #[test]
    fn a_reply_after_the_deadline_still_has_its_place() {
        let mut book = book();
        book.add(command(1));
        book.cancel(1);
        assert_eq!(sent(&mut book), [0; 0]);
        assert_eq!(book.answer(&by_id(1)), first(1));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut book = book();
        for batch in 0..2000 {
            book.add(command(batch));
            if batch % 2 == 0 {
                book.cancel(batch);
            } else {
                book.answer(&by_id(batch));
            }
        }
        assert_eq!(book.open.len(), CANCELLED_KEPT);
        assert_eq!(book.answered.len(), ANSWERED_KEPT);
        assert_eq!(book.answer(&by_id(0)), Match::Nothing);
        assert_eq!(book.answer(&by_id(1998)), first(1998));
    }
}
