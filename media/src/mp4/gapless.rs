//! Encoder delay as iTunes notes it: `udta`/`meta`/`ilst`/`----` named `iTunSMPB`.

use super::boxes::BoxBody;
use super::error::Mp4Error;

/// No encoder's delay comes near this many samples; more is damage.
const MAX_PRIMING: u32 = 1 << 16;

/// Samples that a decoder drops at the start, if `moov` or `trak` says so.
pub(super) fn priming_samples(parent: BoxBody<'_>) -> Result<Option<u32>, Mp4Error> {
    let Some(udta) = parent.find(b"udta")? else { return Ok(None) };
    let Some(mut meta) = udta.find(b"meta")? else { return Ok(None) };
    // A full box in ISO files, a plain one in QuickTime's: the latter begins with its `hdlr` at once.
    let mut probe = meta;
    if probe.left() >= 8 && &probe.array::<8>()?[4..] != b"hdlr" {
        meta.full_header()?;
    }
    let Some(mut list) = meta.find(b"ilst")? else { return Ok(None) };
    while let Some(item) = list.next_child()? {
        if &item.name.0 == b"----"
            && let Some(priming) = read_item(item)?
        {
            return Ok(Some(priming));
        }
    }
    Ok(None)
}

fn read_item(item: BoxBody<'_>) -> Result<Option<u32>, Mp4Error> {
    let (Some(mut name), Some(mut data)) = (item.find(b"name")?, item.find(b"data")?) else {
        return Ok(None);
    };
    name.full_header()?;
    let len = name.left() as u64;
    if name.take(len)? != b"iTunSMPB" {
        return Ok(None);
    }
    // Type and locale, then words in hexadecimal: 0, delay, padding, length, ...
    data.skip(8)?;
    let len = data.left() as u64;
    let text = std::str::from_utf8(data.take(len)?).unwrap_or_default();
    let priming = text.split_ascii_whitespace().nth(1).and_then(|word| u32::from_str_radix(word, 16).ok());
    Ok(priming.filter(|priming| *priming <= MAX_PRIMING))
}
