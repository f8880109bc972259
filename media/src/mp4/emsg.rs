//! Event messages (`emsg`, ISO/IEC 23009-1 5.10.3.3).

use bytes::Bytes;

use super::boxes::BoxBody;
use super::error::Mp4Error;

/// Messages taken of one segment.
const MAX_MESSAGES: usize = 256;

/// An event message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventMessage {
    /// scheme_id_uri, e.g. `https://aomedia.org/emsg/ID3` or `urn:scte:scte35:2013:bin`.
    pub scheme: String,
    /// value.
    pub value: String,
    /// Units a second of the times.
    pub timescale: u32,
    /// When it is presented: on the media's own timeline (version 1), or counted from the segment's earliest
    /// presentation time (version 0).
    pub time: MessageTime,
    /// event_duration; 0xffffffff where it is not known.
    pub duration: u32,
    /// id.
    pub id: u32,
    /// message_data.
    pub data: Bytes,
}

/// What an event message's time counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageTime {
    /// The media timeline's zero.
    Absolute(u64),
    /// The segment's earliest presentation time.
    Delta(u32),
}

/// The event messages at the top level of a segment; damaged ones are counted in the second number.
#[must_use]
pub fn event_messages(data: &Bytes) -> (Vec<EventMessage>, u64) {
    let (mut found, mut damaged) = (Vec::new(), 0);
    let mut top = BoxBody::top(data);
    while let Ok(Some(child)) = top.next_child() {
        if &child.name.0 == b"emsg" && found.len() < MAX_MESSAGES {
            match read(child) {
                Ok(Some(message)) => found.push(message),
                _ => damaged += 1,
            }
        }
    }
    (found, damaged)
}

fn read(mut emsg: BoxBody<'_>) -> Result<Option<EventMessage>, Mp4Error> {
    let (version, _) = emsg.full_header()?;
    let (scheme, value, timescale, time, duration, id);
    match version {
        0 => {
            (scheme, value) = (text(&mut emsg)?, text(&mut emsg)?);
            timescale = emsg.u32()?;
            time = MessageTime::Delta(emsg.u32()?);
            (duration, id) = (emsg.u32()?, emsg.u32()?);
        }
        1 => {
            timescale = emsg.u32()?;
            time = MessageTime::Absolute(emsg.u64()?);
            (duration, id) = (emsg.u32()?, emsg.u32()?);
            (scheme, value) = (text(&mut emsg)?, text(&mut emsg)?);
        }
        _ => return Ok(None),
    }
    let left = emsg.left() as u64;
    let data = Bytes::copy_from_slice(emsg.take(left)?);
    let sound = timescale > 0;
    Ok(sound.then_some(EventMessage { scheme, value, timescale, time, duration, id, data }))
}

/// Text up to a zero byte.
fn text(body: &mut BoxBody<'_>) -> Result<String, Mp4Error> {
    let mut bytes = Vec::new();
    loop {
        match body.u8()? {
            0 => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
            byte => bytes.push(byte),
        }
    }
}

/// Appends an `emsg` box of version 1; a [`MessageTime::Delta`] is written as if it were absolute.
pub fn put_event_message(out: &mut Vec<u8>, message: &EventMessage) {
    let start = out.len();
    out.extend_from_slice(b"\0\0\0\0emsg\x01\0\0\0");
    let time = match message.time {
        MessageTime::Absolute(time) => time,
        MessageTime::Delta(time) => u64::from(time),
    };
    out.extend_from_slice(&message.timescale.to_be_bytes());
    out.extend_from_slice(&time.to_be_bytes());
    out.extend_from_slice(&message.duration.to_be_bytes());
    out.extend_from_slice(&message.id.to_be_bytes());
    for text in [&message.scheme, &message.value] {
        out.extend(text.bytes().filter(|byte| *byte != 0));
        out.push(0);
    }
    out.extend_from_slice(&message.data);
    let len = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&len.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> EventMessage {
        EventMessage {
            scheme: "https://aomedia.org/emsg/ID3".into(),
            value: String::new(),
            timescale: 90_000,
            time: MessageTime::Absolute(1 << 40),
            duration: u32::MAX,
            id: 7,
            data: Bytes::from_static(b"ID3"),
        }
    }

    #[test]
    fn a_written_message_is_read_back() {
        let mut file = b"\0\0\0\x08free".to_vec();
        put_event_message(&mut file, &message());
        put_event_message(&mut file, &message());
        assert_eq!(event_messages(&Bytes::from(file)), (vec![message(), message()], 0));
    }

    #[test]
    fn version_0_counts_from_the_segment() {
        let mut body = b"emsg\0\0\0\0urn:x\0v\0".to_vec();
        for word in [1000u32, 250, 0, 3] {
            body.extend(word.to_be_bytes());
        }
        let file = [&(body.len() as u32 + 4).to_be_bytes()[..], &body].concat();
        let (found, damaged) = event_messages(&Bytes::from(file.clone()));
        assert_eq!((found[0].time, found[0].id, damaged), (MessageTime::Delta(250), 3, 0));
        assert_eq!(found[0].value, "v");
        let cut = [&16u32.to_be_bytes()[..], &body[..12]].concat();
        assert_eq!(event_messages(&Bytes::from(cut)).1, 1);
    }
}
