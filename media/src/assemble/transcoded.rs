//! Audio that comes as another codec: it goes through a transcoder outside and comes back as ADTS.

use super::{AssembleError, Assembler};
use crate::foreign::{ForeignCarry, Stretch};
use crate::ts::Codec;

impl Assembler {
    /// What [`crate::foreign::ForeignReader`] must know of the batch before.
    #[must_use]
    pub fn foreign_carry(&self) -> ForeignCarry {
        self.carry.foreign.clone()
    }

    /// Takes what was transcoded of a stretch, as ADTS; the batch's segments are pushed with [`Take::Video`].
    pub fn push_transcoded(&mut self, adts: &[u8], stretch: &Stretch) -> Result<(), AssembleError> {
        let number = self.segments;
        self.segments = self.segments.saturating_add(1);
        let came = self.sources[1].transcoded(adts, stretch, number, &mut self.counters)?;
        let lacking = stretch.take_access_units.saturating_sub(came);
        self.counters.add("audio_transcoder_lacked", lacking as u64);
        Ok(())
    }

    /// Keeps what the next batch's reader of foreign audio must know.
    pub fn set_foreign_carry(&mut self, carry: ForeignCarry) {
        self.carry.foreign = carry;
        self.transcoded = true;
    }
}

/// Whether audio of this codec can become AAC.
pub(super) fn foreign_codec(codec: Codec) -> bool {
    matches!(codec, Codec::MpegAudio | Codec::AacLatm | Codec::Ac3 | Codec::EAc3 | Codec::Opus)
}
