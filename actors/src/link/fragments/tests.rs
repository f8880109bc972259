use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::messages::FragmentMetadata;

fn reply(name: &str, argument: &Value, attachments: &[Bytes]) -> Option<Reply> {
    let text = argument.to_string();
    let argument = serde_json::from_str::<&RawValue>(&text).unwrap();
    decode_reply(&Event { name: name.to_owned(), argument: Some(argument) }, attachments)
}

fn processed_audio(data: Value, attachments: &[Bytes]) -> Result<Bytes, String> {
    match reply(FRAGMENT_PROCESSED, &json!({ "fragment": {}, "data": data }), attachments) {
        Some(Reply::Processed { audio, .. }) => audio,
        other => panic!("{other:?}"),
    }
}

fn key_of(fragment: Value) -> Key {
    match reply(FRAGMENT_PROCESSED, &json!({ "fragment": fragment }), &[]) {
        Some(Reply::Processed { key, .. }) => key,
        other => panic!("{other:?}"),
    }
}

fn error_of(argument: Value) -> String {
    match reply(FRAGMENT_ERROR, &argument, &[]) {
        Some(Reply::Failed { message, .. }) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_fragment_goes_out_with_both_sets_of_names() {
    let fragment = Fragment {
        id: "demo-7".to_owned(),
        stream_id: "demo".to_owned(),
        rendition: "main".to_owned(),
        language: None,
        sequence_number: 7,
        batch_number: 7,
        timestamp: 1_700_000_000_000,
        duration: 30_016.5,
        codec: "aac".to_owned(),
        sample_rate: 48_000,
        channels: 2,
        content_type: "audio/mp4".to_owned(),
        size: 480_000,
        metadata: FragmentMetadata {
            file_name: "audio.fmp4".to_owned(),
            file_size: 480_000,
            discontinuity: false,
        },
    };
    assert_eq!(
        encode_data("/dub", &fragment).unwrap(),
        concat!(
            r#"451-/dub,["fragment:data",{"fragment":{"id":"demo-7","streamId":"demo","rendition":"main","#,
            r#""sequenceNumber":7,"batchNumber":7,"timestamp":1700000000000,"duration":30016.5,"codec":"aac","#,
            r#""sampleRate":48000,"channels":2,"contentType":"audio/mp4","size":480000,"#,
            r#""metadata":{"fileName":"audio.fmp4","fileSize":480000,"discontinuity":false}},"#,
            r#""data":{"_placeholder":true,"num":0}}]"#
        )
    );
}

#[test]
fn other_events_are_not_replies() {
    assert_eq!(reply("fragment:progress", &json!({}), &[]), None);
}

#[test]
fn a_reply_names_its_batch_in_any_of_three_ways() {
    let full = key_of(json!({ "id": "demo-7", "streamId": "demo", "sequenceNumber": 8, "batchNumber": 7 }));
    assert_eq!(full.id.as_deref(), Some("demo-7"));
    assert_eq!(full.stream_id.as_deref(), Some("demo"));
    assert_eq!(full.batch, Some(7));
    assert_eq!(key_of(json!({ "sequenceNumber": 8 })).batch, Some(8));
    assert_eq!(key_of(json!({ "batchNumber": 8.0 })).batch, Some(8));
    assert_eq!(key_of(json!({ "batchNumber": "8" })).batch, Some(8));
    for bad in [json!(-1), json!(1.5), json!(1e300), json!("x"), json!(null), json!([1])] {
        assert_eq!(key_of(json!({ "batchNumber": bad })).batch, None, "{bad}");
    }
    for bad in [json!(null), json!("demo-7"), json!([]), json!({ "id": 7 })] {
        assert_eq!(key_of(bad), Key::default());
    }
}

#[test]
fn an_object_that_is_none_matches_nothing() {
    for argument in [json!(null), json!("x"), json!([1, 2]), json!(7)] {
        let Some(Reply::Processed { key, .. }) = reply(FRAGMENT_PROCESSED, &argument, &[]) else { panic!() };
        assert_eq!(key, Key::default(), "{argument}");
    }
}

#[test]
fn data_is_an_attachment_or_base64() {
    let attachments = [Bytes::from_static(b"zero"), Bytes::from_static(b"one")];
    let place = |num: i64| json!({ "_placeholder": true, "num": num });
    assert_eq!(processed_audio(place(1), &attachments).unwrap(), "one");
    assert_eq!(processed_audio(json!({ "audio": place(0) }), &attachments).unwrap(), "zero");
    assert_eq!(processed_audio(json!("aGVsbG8="), &[]).unwrap(), "hello");
    assert_eq!(processed_audio(json!("data:audio/mp4;base64,aGVsbG8="), &attachments).unwrap(), "hello");
    assert_eq!(processed_audio(place(2), &attachments).unwrap_err(), "data refers to attachment 2 of 2");
    assert_eq!(processed_audio(json!(null), &[]).unwrap_err(), "data is missing");
    assert_eq!(processed_audio(json!([1, 2]), &[]).unwrap_err(), "data is neither binary nor a base64 text");
    assert!(processed_audio(json!("no!"), &[]).unwrap_err().contains("text of 3 bytes that is not base64"));
}

#[test]
fn metadata_stays_json_however_long_it_was() {
    let metadata = |value: &Value| match reply(FRAGMENT_PROCESSED, &json!({ "metadata": value }), &[]) {
        Some(Reply::Processed { metadata, .. }) => metadata.unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(metadata(&json!({ "gain": -3.5 })), r#"{"gain":-3.5}"#);
    for long in [json!("é".repeat(10_000)), json!("\"\\".repeat(10_000)), json!(vec![1; 10_000])] {
        let kept = metadata(&long);
        assert!(kept.len() <= MAX_METADATA_BYTES && kept.len() > 300, "{}", kept.len());
        assert!(serde_json::from_str::<Value>(&kept).unwrap()["shortened"].is_string());
    }
}

#[test]
fn errors_are_put_in_one_short_line() {
    assert_eq!(error_of(json!({ "error": "no model" })), "no model");
    assert_eq!(error_of(json!({ "error": "no\nmodel", "code": "E1" })), "no model (E1)");
    assert_eq!(
        error_of(json!({ "error": { "message": "busy" }, "code": 503, "details": { "queue": 9 } })),
        r#"busy (503): {"queue":9}"#
    );
    assert_eq!(error_of(json!({})), "no reason given");
    assert!(error_of(json!({ "error": "é".repeat(9_000) })).len() <= MAX_ERROR_BYTES + 3);
}

proptest! {
    #[test]
    fn mutated_replies_never_panic(edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5)) {
        let mut bytes = br#"{"fragment":{"id":"a-1","batchNumber":1},"data":{"_placeholder":true,"num":0},"metadata":{"x":"y"},"error":"e","code":1}"#.to_vec();
        for (index, byte) in edits {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(argument) = serde_json::from_slice::<&RawValue>(&bytes) {
            for name in [FRAGMENT_PROCESSED, FRAGMENT_ERROR] {
                let _ = decode_reply(&Event { name: name.to_owned(), argument: Some(argument) }, &[Bytes::new()]);
            }
        }
    }
}
