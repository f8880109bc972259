use super::*;

const PARAMS: AacParams = AacParams { object_type: 2, rate_index: 3, channel_config: 2 };

fn unit(n: usize) -> Bytes {
    Bytes::from(vec![n as u8; 100])
}

fn decided(count: usize, told: Option<u64>, first: usize) -> Received {
    let (config, first) = (PARAMS.config().unwrap(), unit(first));
    let slot = Slot { config: &config, first: Some(&first), units: 100 };
    decide((0..count).map(unit).collect(), count as u64 * 1024, &config, told, AudioFormat::Mp4, &slot)
}

fn copied(received: &Received) -> (usize, u8, u64, FitTiming) {
    let Received::Same(units) = received else { panic!("{received:?}") };
    (units.data.len(), units.data[0][0], units.sound_samples, units.timing)
}

#[test]
fn whole_access_units_of_priming_are_left_out() {
    assert_eq!(copied(&decided(101, Some(1024), 200)), (100, 1, 102_400, FitTiming::Exact));
    assert_eq!(copied(&decided(102, None, 200)), (100, 2, 102_400, FitTiming::Assumed));
    assert_eq!(copied(&decided(100, None, 200)), (100, 0, 102_400, FitTiming::Assumed));
    assert_eq!(copied(&decided(60, None, 200)), (60, 0, 61_440, FitTiming::Unknown));
}

#[test]
fn what_was_sent_is_found_again_whatever_comes_before_it() {
    assert_eq!(copied(&decided(101, None, 0)), (101, 0, 103_424, FitTiming::Exact));
    assert_eq!(copied(&decided(104, None, 4)), (100, 4, 102_400, FitTiming::Exact));
}

#[test]
fn priming_that_is_not_whole_access_units_is_converted() {
    let Received::Other(foreign) = decided(103, Some(2112), 200) else { panic!("copied") };
    assert_eq!(
        (foreign.skip_samples, foreign.priming_samples, foreign.timing),
        (2112, 2112, FitTiming::Exact)
    );
    let Received::Other(foreign) = decided(103, None, 200) else { panic!("copied") };
    assert_eq!((foreign.skip_samples, foreign.timing), (2112, FitTiming::Assumed));
}

#[test]
fn other_parameters_are_counted_at_their_own_rate() {
    let own = PARAMS.config().unwrap();
    let slot = Slot { config: &own, first: None, units: 100 };
    let mono = AacParams { rate_index: 4, channel_config: 1, ..PARAMS }.config().unwrap();
    // 102400 samples at 48 kHz are 94080 at 44.1 kHz: 92 access units, and one of priming.
    let received = decide((0..93).map(unit).collect(), 93 * 1024, &mono, None, AudioFormat::Adts, &slot);
    let Received::Other(foreign) = received else { panic!("copied") };
    assert_eq!((foreign.skip_samples, foreign.timing), (1024, FitTiming::Assumed));
}
