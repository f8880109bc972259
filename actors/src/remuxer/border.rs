//! The access units beside a batch's borders, where a processor encoded each batch by itself.
//!
//! An access unit covers two blocks of sound, and a block is the sum of two access units. So the last one of a
//! batch must hold the sound that comes after it, and the first one of the next batch overlaps with that. A
//! processor sees one batch at a time: its last access unit goes over into silence, and the sound stops dead at
//! the border. These few access units are encoded anew, with sound predicted beyond the border from this batch
//! alone: then the overlap is a crossfade of two predictions, whatever the neighbour holds, in whatever order the
//! batches are fitted. docs/ARCHITECTURE.md has the figures.

use bytes::Bytes;
use overdub_media::aac::window;
use overdub_media::sample::AudioConfig;

use super::pcm::{self, LEAD, Pcm, TRAIL};

/// Access units that are decoded beside a border.
const NEAR: usize = 10;
/// How far from the border the seam may lie.
const MAX_SEAM: usize = 4;
/// Last samples that are not believed: there an encoder that saw the sound stop rings.
const RINGING: usize = 128;
/// Of each channel; a few access units may be as good as they can.
const BITS_PER_SECOND: u64 = 128_000;

/// Which borders of a batch need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Borders {
    pub head: bool,
    pub tail: bool,
}

impl Borders {
    /// `units` is what fills the slot; `goes_on` tells that more sound came than fits, which its last access unit
    /// then holds.
    pub fn needed(units: &[Bytes], original: &[Bytes], goes_on: bool) -> Self {
        if units.len() < NEAR {
            return Self { head: false, tail: false };
        }
        // An access unit that came back as it went out overlaps with its neighbour as it always did.
        let same = |at: usize| units.get(at) == original.get(at);
        Self { head: !same(0), tail: !goes_on && !same(units.len() - 1) }
    }
}

/// Encodes the access units beside the borders anew; gives how many.
pub(super) async fn smooth(
    units: &mut [Bytes],
    borders: Borders,
    config: &AudioConfig,
) -> Result<u32, String> {
    if !borders.head && !borders.tail {
        return Ok(0);
    }
    let count = units.len();
    let decoded = pcm::decode(&[&units[..NEAR], &units[count - NEAR..]].concat(), config).await?;
    let slot = config.clone();
    let (sound, tail_at) = super::blocking(move || {
        // Of each half, the first block lacks its predecessor.
        let mut sound = decoded.slice(0, NEAR).with_lead();
        let tail_at = sound.blocks();
        sound.append(&continued(decoded.slice(NEAR + 1, 2 * NEAR), &slot));
        Ok::<_, String>((sound, tail_at))
    })
    .await?;
    let made = sound.encode(config, BITS_PER_SECOND * u64::from(config.channels)).await?;
    let mut replaced = 0;
    if borders.head {
        // Block 0 is the sound's block LEAD, so access unit 0 is the encoder's LEAD + 1.
        let own = &made[LEAD + 1..];
        let last = (0..=MAX_SEAM).find(|at| fit_together(&own[*at], &units[*at])).unwrap_or(0);
        units[..=last].clone_from_slice(&own[..=last]);
        replaced += last + 1;
    }
    if borders.tail {
        // The last block is the ninth of the tail, so the last access unit is the encoder's tail_at + 9.
        let own = |back: usize| &made[tail_at + NEAR - 1 - back];
        let first =
            (0..=MAX_SEAM).find(|back| fit_together(own(back + 1), &units[count - 2 - back])).unwrap_or(0);
        for back in 0..=first {
            units[count - 1 - back] = own(back).clone();
        }
        replaced += first + 1;
    }
    Ok(u32::try_from(replaced).unwrap_or(u32::MAX))
}

/// The sound before a border, continued.
fn continued(mut sound: Pcm, config: &AudioConfig) -> Pcm {
    sound.resize(sound.len() - RINGING);
    sound.with_trail(TRAIL * config.frame_samples as usize + RINGING)
}

/// Whether an access unit that follows one of these may as well follow the other.
fn fit_together(one: &[u8], other: &[u8]) -> bool {
    window(one).is_some_and(|window_of_one| window(other) == Some(window_of_one))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(count: u8, first: u8) -> Vec<Bytes> {
        (0..count).map(|n| Bytes::from(vec![first + n])).collect()
    }

    #[test]
    fn an_echo_and_a_moment_of_sound_are_left_alone() {
        let original = units(20, 0);
        assert_eq!(Borders::needed(&original, &original, false), Borders { head: false, tail: false });
        assert_eq!(Borders::needed(&units(9, 100), &original, false), Borders { head: false, tail: false });
    }

    #[test]
    fn each_border_that_differs_needs_it_but_an_end_that_goes_on() {
        let (original, other) = (units(20, 0), units(20, 100));
        assert_eq!(Borders::needed(&other, &original, false), Borders { head: true, tail: true });
        assert_eq!(Borders::needed(&other, &original, true), Borders { head: true, tail: false });
        let half = [&original[..10], &other[10..]].concat();
        assert_eq!(Borders::needed(&half, &original, false), Borders { head: false, tail: true });
        // The original, but short: silence follows where there was sound.
        assert_eq!(Borders::needed(&original[..15], &original, false), Borders { head: false, tail: false });
    }
}
