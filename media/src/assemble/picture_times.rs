//! Times for pictures that the source gave none: several in one PES packet, or second fields.

use serde::{Deserialize, Serialize};

use super::decode_times::DecodeTimes;
use super::picture_order::{PictureOrders, Place};
use super::unit::Unit;
use crate::counters::Counters;
use crate::nal::AccessUnit;
use crate::time::{CLOCK_PERIOD, unwrap_near};
use crate::ts::Timestamps;

/// Pictures in a row that may lack times.
const MAX_WAITING: usize = 512;

/// Longest time over which pictures are spread, 10 s; beyond it the clock has jumped.
const MAX_SPREAD_90K: i64 = 10 * 90_000;

/// Distance of pictures while the source has not shown any: 25 a second.
const DEFAULT_STEP_90K: i64 = 3600;

/// What the next batch must know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PictureTimesCarry {
    /// The last picture with a time.
    last: Option<Timestamps>,
    last_place: Option<Place>,
    step_90k: Option<i64>,
    orders: PictureOrders,
    pace: Option<Pace>,
    decode_times: DecodeTimes,
}

/// How long a difference in picture order lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pace {
    /// 90 kHz ticks; `None`: those of one picture.
    ticks: Option<i64>,
    /// The difference, more than 0.
    order: i64,
}

/// Gives every picture its times: by their order of output, between timed neighbours.
#[derive(Debug)]
pub struct PictureTimes {
    state: PictureTimesCarry,
    waiting: Vec<(AccessUnit, Option<Place>)>,
}

impl PictureTimes {
    /// Goes on where the batch before ended.
    #[must_use]
    pub fn new(state: PictureTimesCarry) -> Self {
        Self { state, waiting: Vec::new() }
    }

    /// What the next batch must know.
    #[must_use]
    pub fn carry(&self) -> PictureTimesCarry {
        self.state.clone()
    }

    /// Takes access units in decoding order, about a segment of them; gives those whose times are known, each picture
    /// with a stamp. `last`: no more will come.
    pub fn complete(&mut self, units: Vec<Unit>, last: bool, counters: &mut Counters) -> Vec<Unit> {
        let places: Vec<Option<Place>> =
            units.iter().filter_map(Unit::picture).map(|unit| self.state.orders.place(unit)).collect();
        let stamped = |unit: &AccessUnit| unit.stamp.is_some();
        if !self.waiting.is_empty() || !units.iter().filter_map(Unit::picture).all(stamped) {
            self.learn_pace(&units, &places);
        }
        let sends_decode_times =
            units.iter().filter_map(|unit| unit.picture()?.stamp).any(|Timestamps { pts, dts }| pts != dts);
        let mut places = places.into_iter();
        let mut out = Vec::with_capacity(units.len() + self.waiting.len());
        for unit in units {
            match unit {
                Unit::Video(unit) => self.picture(unit, places.next().flatten(), counters, &mut out),
                Unit::Audio(_) => out.push(unit),
            }
        }
        if last {
            self.release(None, &mut out);
        }
        self.state.decode_times.complete(&mut out, sends_decode_times, counters);
        out
    }

    fn picture(
        &mut self,
        unit: AccessUnit,
        place: Option<Place>,
        counters: &mut Counters,
        out: &mut Vec<Unit>,
    ) {
        let Some(stamp) = unit.stamp else {
            if self.state.last.is_none() || self.waiting.len() >= MAX_WAITING {
                return counters.add("video_untimed_dropped", 1);
            }
            counters.add("video_times_interpolated", 1);
            return self.waiting.push((unit, place));
        };
        self.release(Some(stamp), out);
        (self.state.last, self.state.last_place) = (Some(stamp), place);
        out.push(Unit::Video(unit));
    }

    /// Gives what waits its times, up to the next picture that has some.
    fn release(&mut self, next: Option<Timestamps>, out: &mut Vec<Unit>) {
        let Some(mut anchor) = self.state.last else { return };
        let pictures = self.waiting.len() as i64 + 1;
        let fits = |distance: &i64| (pictures..=MAX_SPREAD_90K).contains(distance);
        let measured = next.map(|next| unwrap_near(next.dts, anchor.dts) - anchor.dts).filter(fits);
        if let Some(distance) = measured {
            self.state.step_90k = Some(distance / pictures);
        }
        let step = self.state.step_90k.unwrap_or(DEFAULT_STEP_90K);
        let distance = measured.unwrap_or(step * pictures);
        let (first, mut anchor_place) = (anchor, self.state.last_place);
        for (index, (mut unit, place)) in (1..).zip(self.waiting.drain(..)) {
            let after = distance * index / pictures;
            let dts = first.dts + after;
            let shown_after = match (place, anchor_place, self.state.pace) {
                (Some(place), Some(from), Some(pace)) if place.sequence == from.sequence => {
                    Some((place.order - from.order) * pace.ticks.unwrap_or(step) / pace.order)
                }
                _ => None,
            };
            let pts = shown_after.map_or(first.pts + after, |after| anchor.pts + after);
            let stamp = Timestamps { pts: pts.rem_euclid(CLOCK_PERIOD), dts: dts.rem_euclid(CLOCK_PERIOD) };
            if shown_after.is_none() {
                (anchor, anchor_place) = (Timestamps { pts, dts }, place);
            }
            unit.stamp = Some(stamp);
            (self.state.last, self.state.last_place) = (unit.stamp, place);
            out.push(Unit::Video(unit));
        }
    }

    /// Measures the pace on the two timed pictures of a sequence that lie furthest apart; else takes the smallest
    /// difference in order for that of one picture.
    fn learn_pace(&mut self, units: &[Unit], places: &[Option<Place>]) {
        let mut best: Option<(i64, i64)> = None;
        let mut first: Option<(Place, i64)> = None;
        for (unit, place) in units.iter().filter_map(Unit::picture).zip(places) {
            let (Some(stamp), Some(place)) = (unit.stamp, *place) else { continue };
            match first {
                Some((from, pts)) if from.sequence == place.sequence => {
                    let order = place.order - from.order;
                    let ticks = unwrap_near(stamp.pts, pts) - pts;
                    let forwards = order.signum() * ticks.signum() > 0 && ticks.abs() <= MAX_SPREAD_90K;
                    if forwards && best.is_none_or(|(_, widest)| widest < order.abs()) {
                        best = Some((ticks.abs(), order.abs()));
                    }
                }
                _ => first = Some((place, stamp.pts)),
            }
        }
        if let Some((ticks, order)) = best {
            self.state.pace = Some(Pace { ticks: Some(ticks), order });
            return;
        }
        let mut orders: Vec<_> = places.iter().flatten().map(|place| (place.sequence, place.order)).collect();
        orders.sort_unstable();
        let pairs = orders.windows(2).filter(|pair| pair[0].0 == pair[1].0);
        let nearest = pairs.map(|pair| pair[1].1 - pair[0].1).filter(|order| *order > 0).min();
        if let Some(order) = nearest
            && self.state.pace.is_none_or(|pace| pace.ticks.is_none())
        {
            self.state.pace = Some(Pace { ticks: None, order });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nal::PictureOrder;

    /// Pictures as (order of output, time), -1 for an order that is not told; gives their (DTS, PTS).
    fn complete(
        times: &mut PictureTimes,
        pictures: &[(i32, Option<Timestamps>)],
        last: bool,
    ) -> Vec<(i64, i64)> {
        let units = pictures.iter().map(|(order, stamp)| {
            let order =
                u32::try_from(*order).ok().map(|lsb| PictureOrder { lsb, bits: 8, reference: lsb % 4 == 0 });
            Unit::Video(AccessUnit { stamp: *stamp, order, ..AccessUnit::default() })
        });
        let out = times.complete(units.collect(), last, &mut Counters::default());
        let stamps = out.iter().filter_map(|unit| unit.picture()?.stamp);
        stamps.map(|stamp| (stamp.dts, stamp.pts)).collect()
    }

    fn at(dts: i64, pts: i64) -> Option<Timestamps> {
        Some(Timestamps { pts, dts })
    }

    #[test]
    fn second_fields_stand_halfway() {
        let mut times = PictureTimes::new(PictureTimesCarry::default());
        let fields = [(-1, None), (-1, at(7200, 7210)), (-1, None), (-1, at(10_800, 10_810)), (-1, None)];
        assert_eq!(complete(&mut times, &fields, false), [(7200, 7210), (9000, 9010), (10_800, 10_810)]);
        assert_eq!(complete(&mut times, &[], true), [(12_600, 12_610)]);
    }

    #[test]
    fn times_are_spread_across_the_wrap() {
        let mut times = PictureTimes::new(PictureTimesCarry::default());
        let before = CLOCK_PERIOD - 1800;
        complete(&mut times, &[(-1, at(before, before)), (-1, None)], false);
        assert_eq!(complete(&mut times, &[(-1, at(1800, 1800))], false), [(0, 0), (1800, 1800)]);
    }

    #[test]
    fn pictures_are_shown_in_their_order_of_output() {
        // I0 P3 B1 B2 P6 B4 B5, two a PES packet, 25 a second, shown one picture after they are decoded.
        let pictures = [
            (0, at(0, 3600)),
            (6, None),
            (2, at(7200, 7200)),
            (4, None),
            (12, at(14_400, 25_200)),
            (8, None),
        ];
        let mut times = PictureTimes::new(PictureTimesCarry::default());
        let seen = complete(&mut times, &pictures, true);
        let shown: Vec<i64> = seen.iter().map(|(_, pts)| pts / 3600).collect();
        assert_eq!(shown, [1, 4, 2, 3, 7, 5]);
        assert_eq!(seen.iter().map(|(dts, _)| dts / 3600).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn one_time_for_a_group_of_pictures_is_enough() {
        let mut times = PictureTimes::new(PictureTimesCarry::default());
        let group = [(0, at(0, 3600)), (6, None), (2, None), (4, None)];
        assert_eq!(complete(&mut times, &group, false), [(0, 3600)]);
        let next = [(12, at(14_400, 25_200)), (8, None), (10, None)];
        let seen = complete(&mut times, &next, true);
        assert_eq!(seen[..4], [(3600, 14_400), (7200, 7200), (10_800, 10_800), (14_400, 25_200)]);
        assert_eq!(seen[4..], [(18_000, 18_000), (21_600, 21_600)]);
    }
}
