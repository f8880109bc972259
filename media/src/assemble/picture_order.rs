//! In which order pictures are shown (8.2.1 of H.264, 8.3.1 of H.265).

use serde::{Deserialize, Serialize};

use crate::nal::AccessUnit;

/// A picture's place in the order of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Which coded video sequence it belongs to: orders of two are not comparable.
    pub sequence: u32,
    /// PicOrderCnt.
    pub order: i64,
}

/// Follows the pictures of a stream in decoding order; as such, what the next batch must know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PictureOrders {
    sequence: u32,
    /// That of the last reference picture.
    reference: i64,
}

impl PictureOrders {
    /// The next picture's place; `None` where its slices do not say.
    pub fn place(&mut self, unit: &AccessUnit) -> Option<Place> {
        if unit.idr {
            self.sequence = self.sequence.wrapping_add(1);
            self.reference = 0;
        }
        let told = unit.order?;
        let period = 1 << told.bits.min(16);
        let ahead = (i64::from(told.lsb) - self.reference).rem_euclid(period);
        let order = self.reference + if ahead >= period / 2 { ahead - period } else { ahead };
        // An IDR picture's most significant bits are 0.
        let order = if unit.idr { i64::from(told.lsb) } else { order };
        if told.reference {
            self.reference = order;
        }
        Some(Place { sequence: self.sequence, order })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nal::PictureOrder;

    #[test]
    fn the_least_significant_bits_are_completed_beside_the_last_reference_picture() {
        let mut orders = PictureOrders::default();
        let mut place = |idr, lsb, reference| {
            let order = Some(PictureOrder { lsb, bits: 4, reference });
            let place = orders.place(&AccessUnit { idr, order, ..AccessUnit::default() }).unwrap();
            (place.sequence, place.order)
        };
        assert_eq!(place(true, 0, true), (1, 0));
        assert_eq!(place(false, 6, true), (1, 6));
        assert_eq!(place(false, 2, false), (1, 2));
        assert_eq!(place(false, 12, true), (1, 12));
        assert_eq!(place(false, 2, true), (1, 18));
        assert_eq!(place(false, 14, false), (1, 14));
        assert_eq!(place(true, 0, true), (2, 0));
    }
}
