use proptest::prelude::*;
use serde_json::json;

use super::*;

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => panic!("the test gives an object"),
    }
}

/// A body that is right, with `changes` put over it.
fn body(changes: Value) -> Map<String, Value> {
    let mut map = object(json!({ "streamId": "news", "sourceUrl": "http://host/x.m3u8" }));
    map.extend(object(changes));
    map
}

fn accepted(changes: Value) -> NewStream {
    new_stream(body(changes), &StreamDefaults::default()).unwrap()
}

fn refused(changes: Value) -> Vec<FieldError> {
    new_stream(body(changes), &StreamDefaults::default()).unwrap_err()
}

fn only_error(changes: Value) -> FieldError {
    let errors = refused(changes.clone());
    assert_eq!(errors.len(), 1, "{changes}: {errors:?}");
    errors.into_iter().next().unwrap()
}

fn rtmp_urls(rendition: &RenditionSettings) -> Vec<&str> {
    rendition.outputs.iter().map(OutputSettings::url).collect()
}

#[test]
fn what_is_left_out_takes_the_defaults() {
    let NewStream { settings, autostart } = accepted(json!({}));
    assert!(autostart);
    assert_eq!(settings.stream_id.as_str(), "news");
    assert_eq!((settings.buffer_duration, settings.delay), (30.0, 10.0));
    assert_eq!((settings.max_concurrent_batches, settings.hls_output), (3, true));
    assert_eq!(settings.start, StartAt::Live);
    let [main] = settings.renditions.as_slice() else { panic!("one rendition") };
    assert_eq!((main.name.as_str(), main.language.as_deref()), ("main", None));
    assert_eq!(
        (main.audio_processor_url.as_str(), main.fallback),
        ("ws://localhost:5000", Fallback::Original)
    );
    assert_eq!(rtmp_urls(main), ["rtmp://localhost/live/news"]);
}

#[test]
fn the_plain_start_means_the_same_as_a_created_stream() {
    let changes = json!({ "audioProcessorUrl": "http://p", "srsRtmpUrl": "rtmp://h/a/{streamId}", "bufferDuration": 6 });
    let plain = plain_start(body(changes.clone()), &StreamDefaults::default()).unwrap();
    assert_eq!(plain, accepted(changes).settings);
}

#[test]
fn the_plain_start_takes_only_the_plain_fields() {
    let errors = plain_start(body(json!({ "delay": 5 })), &StreamDefaults::default()).unwrap_err();
    assert_eq!(errors[0].field, "delay");
    assert!(errors[0].message.contains("POST /api/streams takes more"), "{}", errors[0].message);
}

#[test]
fn the_bounds_themselves_are_allowed() {
    for (field, values) in [
        ("bufferDuration", vec![json!(2), json!(120), json!(2.5)]),
        ("delay", vec![json!(1), json!(300)]),
        ("maxConcurrentBatches", vec![json!(1), json!(64), json!(3.0)]),
        ("fallback", vec![json!("original"), json!("silence"), json!("drop")]),
        ("start", vec![json!("live"), json!("window")]),
        ("hlsOutput", vec![json!(true), json!(false)]),
        ("autostart", vec![json!(true), json!(false)]),
        ("srsRtmpUrl", vec![Value::Null, json!(""), json!("rtmps://h/a/k")]),
    ] {
        for value in values {
            accepted(json!({ field: value }));
        }
    }
}

#[test]
fn a_wrong_value_is_named_with_what_came_and_what_is_allowed() {
    for (field, value, got, allowed) in [
        ("bufferDuration", json!(1.999), "1.999", "2 to 120"),
        ("bufferDuration", json!(120.001), "120.001", "2 to 120"),
        ("bufferDuration", json!("30"), "\"30\"", "2 to 120"),
        ("bufferDuration", json!(null), "null", "2 to 120"),
        ("bufferDuration", json!(1e300), "1e+300", "2 to 120"),
        ("bufferDuration", json!(-30), "-30", "2 to 120"),
        ("delay", json!(0), "0", "1 to 300"),
        ("delay", json!([10]), "an array of 1", "1 to 300"),
        ("maxConcurrentBatches", json!(65), "65", "1 to 64"),
        ("maxConcurrentBatches", json!(2.5), "2.5", "1 to 64"),
        ("maxConcurrentBatches", json!(-1), "-1", "1 to 64"),
        ("maxConcurrentBatches", json!(1e300), "1e+300", "1 to 64"),
        ("fallback", json!("mute"), "\"mute\"", "original, silence, drop"),
        ("start", json!(5), "5", "live, window"),
        ("hlsOutput", json!("true"), "\"true\"", "true, false"),
        ("autostart", json!(1), "1", "true, false"),
        ("streamId", json!("../x"), "\"../x\"", ID_FORM),
        ("streamId", json!(7), "7", "string"),
        ("sourceUrl", json!("ftp://host/x"), "ftp", urls::SOURCE_FORM),
        ("sourceUrl", json!({}), "an object", "string"),
        ("audioProcessorUrl", json!("rtmp://h/a/k"), "rtmp://h/a/***", urls::PROCESSOR_FORM),
        ("audioProcessorUrl", json!(null), "null", "string"),
        ("srsRtmpUrl", json!("rtmp://h/live"), "no stream key", urls::RTMP_FORM),
        ("srsRtmpUrl", json!(false), "false", "string"),
    ] {
        let error = only_error(json!({ field: value }));
        assert_eq!((error.field.as_str(), error.allowed.as_deref()), (field, Some(allowed)), "{value}");
        assert!(error.message.starts_with(field) && error.message.contains(got), "{}", error.message);
    }
}

#[test]
fn what_is_required_is_asked_for() {
    let errors = new_stream(Map::new(), &StreamDefaults::default()).unwrap_err();
    let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(fields, ["streamId", "sourceUrl"]);
    assert!(errors.iter().all(|error| error.message.contains("is missing")));
}

#[test]
fn all_errors_are_told_at_once() {
    let errors = refused(json!({ "streamId": "-", "delay": 0, "bufferDuration": 1, "colour": "red" }));
    let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(fields, ["streamId", "bufferDuration", "delay", "colour"]);
}

#[test]
fn an_unknown_field_is_refused_and_a_near_one_is_suggested() {
    let error = only_error(json!({ "buffer_duration": 30 }));
    assert_eq!(error.field, "buffer_duration");
    assert!(error.message.contains("did you mean bufferDuration?"), "{}", error.message);
    let error = only_error(json!({ "x".repeat(10_000): 1 }));
    assert!(error.field.len() < 100 && error.message.len() < 500);
    let many: Map<String, Value> = (0..5000).map(|i| (format!("f{i}"), Value::Null)).collect();
    assert!(refused(Value::Object(many)).len() <= 32);
}

#[test]
fn no_secret_comes_back_in_an_error() {
    for changes in [
        json!({ "sourceUrl": "ftp://user:hunter2@host/x?token=hunter2" }),
        json!({ "sourceUrl": "rtmp://host/live/hunter2" }),
        json!({ "srsRtmpUrl": "https://host/live/x?key=hunter2" }),
        json!({ "streamId": "rtmp://host/live/hunter2" }),
        json!({ "fallback": "https://user:hunter2@host/" }),
        json!({ "renditions": "rtmp://host/live/hunter2" }),
        json!({ "renditions": [{ "name": "rtmp://host/live/hunter2" }] }),
    ] {
        let text = serde_json::to_string(&refused(changes)).unwrap();
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn renditions_are_read_with_their_outputs() {
    let NewStream { settings, .. } = accepted(json!({
        "fallback": "silence",
        "renditions": [
            { "name": "de", "language": "de-AT", "audioProcessorUrl": "ws://de:5000", "fallback": "drop",
              "outputs": [{ "type": "rtmp", "url": "rtmp://h/live/{streamId}-de" }] },
            { "name": "fr", "language": null },
        ],
    }));
    let [de, fr] = settings.renditions.as_slice() else { panic!("two renditions") };
    assert_eq!((de.language.as_deref(), de.fallback), (Some("de-AT"), Fallback::Drop));
    assert_eq!(rtmp_urls(de), ["rtmp://h/live/news-de"]);
    assert_eq!((fr.fallback, fr.audio_processor_url.as_str()), (Fallback::Silence, "ws://localhost:5000"));
    assert!(fr.outputs.is_empty());
}

#[test]
fn wrong_renditions_are_named_by_their_place() {
    let output = json!({ "type": "rtmp", "url": "rtmp://h/a/k" });
    for (renditions, field) in [
        (json!([]), "renditions"),
        (json!({}), "renditions"),
        (json!([1]), "renditions[0]"),
        (json!(vec![json!({ "name": "a" }); 33]), "renditions"),
        (json!([{}]), "renditions[0].name"),
        (json!([{ "name": "a/b" }]), "renditions[0].name"),
        (json!([{ "name": "Original" }]), "renditions[0].name"),
        (json!([{ "name": "a" }, { "name": "A" }]), "renditions[1].name"),
        (json!([{ "name": "a", "language": "x" }]), "renditions[0].language"),
        (json!([{ "name": "a", "language": "de_AT" }]), "renditions[0].language"),
        (json!([{ "name": "a", "language": "de\"\n#EXT" }]), "renditions[0].language"),
        (json!([{ "name": "a", "fallback": "x" }]), "renditions[0].fallback"),
        (json!([{ "name": "a", "audioProcessorUrl": "x" }]), "renditions[0].audioProcessorUrl"),
        (json!([{ "name": "a", "audio_processor_url": "ws://x" }]), "renditions[0].audio_processor_url"),
        (json!([{ "name": "a", "outputs": {} }]), "renditions[0].outputs"),
        (json!([{ "name": "a", "outputs": vec![&output; 17] }]), "renditions[0].outputs"),
        (json!([{ "name": "a", "outputs": [&output, &output] }]), "renditions[0].outputs[1].url"),
        (
            json!([{ "name": "a", "outputs": [
                { "type": "rtmp", "url": "rtmp://h/a/k", "takesH265": true }, &output,
            ] }]),
            "renditions[0].outputs[1].url",
        ),
        (
            json!([{ "name": "a", "outputs": [{ "type": "rtmp", "url": "rtmp://h/a/k", "takesH265": 1 }] }]),
            "renditions[0].outputs[0].takesH265",
        ),
        (
            json!([{ "name": "a", "outputs": [{ "type": "srt", "url": "rtmp://h/a/k" }] }]),
            "renditions[0].outputs[0].type",
        ),
        (json!([{ "name": "a", "outputs": [{ "type": "rtmp" }] }]), "renditions[0].outputs[0].url"),
        (
            json!([{ "name": "a", "outputs": [{ "type": "rtmp", "url": "rtmp://h" }] }]),
            "renditions[0].outputs[0].url",
        ),
        (
            json!([{ "name": "a", "outputs": [{ "type": "rtmp", "url": "rtmp://h/a/k", "key": 1 }] }]),
            "renditions[0].outputs[0].key",
        ),
    ] {
        assert_eq!(only_error(json!({ "renditions": &renditions })).field, field, "{renditions}");
    }
}

#[test]
fn two_renditions_may_not_share_an_output() {
    let outputs = json!([{ "type": "rtmp", "url": "rtmp://h/a/k" }]);
    let error = only_error(
        json!({ "renditions": [{ "name": "a", "outputs": outputs }, { "name": "b", "outputs": outputs }] }),
    );
    assert_eq!(error.field, "renditions[1].outputs[0].url");
}

#[test]
fn renditions_exclude_the_plain_fields() {
    for field in ["audioProcessorUrl", "srsRtmpUrl"] {
        let error = only_error(json!({ "renditions": [{ "name": "a" }], field: "ws://x" }));
        assert_eq!(error.field, field);
        assert!(error.message.contains("beside renditions"), "{}", error.message);
    }
}

#[test]
fn a_stream_without_any_output_is_refused() {
    assert_eq!(only_error(json!({ "hlsOutput": false, "srsRtmpUrl": null })).field, "hlsOutput");
}

#[test]
fn stop_and_clean_are_checked_too() {
    assert_eq!(stop(object(json!({ "streamId": "a" }))).unwrap().as_str(), "a");
    assert_eq!(stop(Map::new()).unwrap_err()[0].field, "streamId");
    assert_eq!(stop(object(json!({ "streamId": "a", "x": 1 }))).unwrap_err()[0].field, "x");
    let clean_of = |value| clean(object(value));
    assert_eq!(clean_of(json!({ "streamId": "a", "keepLast": 0 })).unwrap().keep_last, 0);
    for bad in [
        json!({ "streamId": "a" }),
        json!({ "streamId": "a", "keepLast": -1 }),
        json!({ "streamId": "a", "keepLast": "2" }),
    ] {
        let errors = clean_of(bad).unwrap_err();
        assert_eq!((errors.len(), errors[0].field.as_str()), (1, "keepLast"));
    }
}

#[test]
fn the_configured_defaults_are_held_to_the_same_rules() {
    assert_eq!(defaults(&StreamDefaults::default()), []);
    let none = StreamDefaults { srs_rtmp_url: String::new(), ..StreamDefaults::default() };
    assert_eq!(defaults(&none), []);
    let wrong = StreamDefaults {
        buffer_duration: f64::NAN,
        delay: 0.5,
        max_concurrent_batches: 0,
        audio_processor_url: "ftp://x".to_owned(),
        srs_rtmp_url: "rtmp://x".to_owned(),
        ..StreamDefaults::default()
    };
    let errors = defaults(&wrong);
    let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(
        fields,
        ["buffer_duration", "delay", "max_concurrent_batches", "audio_processor_url", "srs_rtmp_url"]
    );
}

/// Any JSON value, small.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "(rtmp|ws|http)s?://[a-z:@/{}?=]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let name = prop_oneof![
            Just("name".to_owned()),
            Just("outputs".to_owned()),
            Just("url".to_owned()),
            ".{0,4}"
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_comes_is_either_accepted_within_bounds_or_refused_with_errors(
        values in prop::collection::vec(any_value(), 11),
        present: u16,
    ) {
        let names = [
            "sourceUrl", "streamId", "audioProcessorUrl", "srsRtmpUrl", "bufferDuration", "delay",
            "maxConcurrentBatches", "fallback", "hlsOutput", "start", "renditions",
        ];
        let chosen = names.iter().zip(values).enumerate().filter(|(i, _)| present >> i & 1 == 1);
        let changes: Map<String, Value> = chosen.map(|(_, (name, value))| ((*name).to_owned(), value)).collect();
        match new_stream(body(Value::Object(changes)), &StreamDefaults::default()) {
            Ok(NewStream { settings, .. }) => {
                prop_assert!(BUFFER_DURATION_S.contains(&settings.buffer_duration));
                prop_assert!(DELAY_S.contains(&settings.delay));
                prop_assert!(MAX_CONCURRENT_BATCHES.contains(&u64::from(settings.max_concurrent_batches)));
                prop_assert!(!settings.renditions.is_empty());
                prop_assert!(settings.renditions.iter().all(|r| !r.name.is_empty() && !r.audio_processor_url.is_empty()));
            }
            Err(errors) => prop_assert!(!errors.is_empty() && errors.len() <= 32),
        }
    }
}
