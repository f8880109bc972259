//! Encoder delay as iTunes notes it: `udta`/`meta`/`ilst`/`----` named `iTunSMPB`.

use super::boxes::BoxBody;
use super::error::Mp4Error;

/// No encoder's delay comes near this many samples; more is damage.
const MAX_PRIMING: u32 = 1 << 16;

/// Samples that a decoder drops at the start, if `moov` or `trak` says so. User data is free in form, so what
/// is not understood says nothing, and no media is lost over it.
pub(super) fn priming_samples(parent: BoxBody<'_>) -> Option<u32> {
    find_priming(parent).ok().flatten()
}

fn find_priming(parent: BoxBody<'_>) -> Result<Option<u32>, Mp4Error> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(name: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
        let body = parts.concat();
        [&(body.len() as u32 + 8).to_be_bytes()[..], name, &body].concat()
    }

    /// `udta` as iTunes writes it, in the ISO or the QuickTime form of `meta`.
    fn user_data(text: &[u8], iso: bool) -> Vec<u8> {
        let item = |name: &[u8], text: &[u8]| {
            let mean = boxed(b"mean", &[&[0; 4], b"com.apple.iTunes"]);
            let name = boxed(b"name", &[&[0; 4], name]);
            let data = boxed(b"data", &[&[0, 0, 0, 1, 0, 0, 0, 0], text]);
            boxed(b"----", &[&mean, &name, &data])
        };
        let list = boxed(
            b"ilst",
            &[&boxed(b"\xa9too", &[b"x"]), &item(b"iTunNORM", b" 7 7"), &item(b"iTunSMPB", text)],
        );
        let version: &[u8] = if iso { &[0; 4] } else { &[] };
        boxed(b"udta", &[&boxed(b"meta", &[version, &boxed(b"hdlr", &[&[0; 25]]), &list]), &[0; 4]])
    }

    #[test]
    fn itunes_priming_is_found_in_both_forms() {
        let text = b" 00000000 00000840 000001C0 000000000005A540 00000000 00000000";
        for iso in [true, false] {
            assert_eq!(priming_samples(BoxBody::top(&user_data(text, iso))), Some(0x840));
        }
    }

    #[test]
    fn damaged_user_data_says_nothing() {
        for text in [&b""[..], b" 00000000", b" 0 zzz", b" 0 \xff", b" 0 00010001", b" 0 100000000"] {
            assert_eq!(
                priming_samples(BoxBody::top(&user_data(text, true))),
                None,
                "{}",
                text.escape_ascii()
            );
        }
        let whole = user_data(b" 0 840", true);
        for len in 0..whole.len() - 4 {
            assert_eq!(priming_samples(BoxBody::top(&whole[..len])), None, "{len}");
        }
    }
}
