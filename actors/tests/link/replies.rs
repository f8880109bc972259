//! What goes out and what comes back, over a connection that holds.

use actix_http::ws::{Frame, Message};
use base64::Engine;
use bytes::Bytes;
use overdub_actors::messages::{AudioFormat, CancelFragment, FragmentFault, LinkEvent};
use serde_json::json;

use crate::kit::{Kit, audio};
use crate::peer::{Conn, Peer};

async fn joined() -> (Kit, Conn) {
    let peer = Peer::listen().await;
    let mut kit = Kit::start(&peer.url());
    let conn = peer.accept_joined().await;
    kit.expect_connected().await;
    (kit, conn)
}

#[actix_rt::test]
async fn a_fragment_goes_out_and_its_reply_is_stored() {
    let (mut kit, mut conn) = joined().await;
    assert!(conn.head.starts_with("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n"), "{}", conn.head);
    kit.send(7, &audio(1, 100_000));
    let received = conn.fragment().await;
    assert_eq!(received.audio, audio(1, 100_000));
    assert_eq!(
        received.fragment,
        json!({
            "id": "demo-7", "streamId": "demo", "rendition": "main", "language": "de",
            "sequenceNumber": 7, "batchNumber": 7, "timestamp": 1_767_225_600_000_i64, "duration": 30_016.5,
            "codec": "aac", "sampleRate": 48_000, "channels": 2, "contentType": "audio/mp4", "size": 100_000,
            "metadata": { "fileName": "audio.fmp4", "fileSize": 100_000, "discontinuity": false }
        })
    );
    kit.expect_sent(7).await;
    conn.processed(&received.fragment, &audio(2, 90_000)).await;
    assert_eq!(kit.expect_processed(7).await, audio(2, 90_000));
    assert_eq!(std::fs::read_dir(kit.folder()).unwrap().count(), 2, "no temporary file is left");
}

#[actix_rt::test]
async fn replies_may_come_in_any_order() {
    let (mut kit, mut conn) = joined().await;
    for batch in 1..=3 {
        kit.send(batch, &audio(batch as u8, 1000));
        conn.fragment().await;
        kit.expect_sent(batch).await;
    }
    for batch in [3, 1, 2] {
        conn.processed(&json!({ "streamId": "demo", "sequenceNumber": batch }), &audio(batch as u8, 10))
            .await;
        assert_eq!(kit.expect_processed(batch).await, audio(batch as u8, 10));
    }
}

#[actix_rt::test]
async fn a_reply_in_base64_or_in_pieces_is_as_good() {
    let (mut kit, mut conn) = joined().await;
    for batch in [1, 2] {
        kit.send(batch, &audio(0, 1000));
        conn.fragment().await;
        kit.expect_sent(batch).await;
    }
    // Large enough to be decoded off the arbiter's thread.
    let data = base64::prelude::BASE64_STANDARD.encode(audio(1, 300_000));
    conn.event("fragment:processed", json!({ "fragment": { "id": "demo-1" }, "data": data })).await;
    assert_eq!(kit.expect_processed(1).await, audio(1, 300_000));
    conn.processed_in_pieces(&json!({ "id": "demo-2" }), &audio(2, 300_000), 70_000).await;
    assert_eq!(kit.expect_processed(2).await, audio(2, 300_000));
}

#[actix_rt::test]
async fn format_and_metadata_are_reported() {
    let (mut kit, mut conn) = joined().await;
    kit.send(1, &audio(0, 1000));
    let fragment = conn.fragment().await.fragment;
    kit.expect_sent(1).await;
    let object = json!({ "fragment": fragment, "data": { "_placeholder": true, "num": 0 }, "metadata": { "lufs": -23 } });
    conn.text(&format!("451-{}", json!(["fragment:processed", object]))).await;
    conn.binary(b"RIFF\x24\0\0\0WAVEfmt ").await;
    match kit.next().await {
        LinkEvent::FragmentProcessed { batch: 1, bytes: 16, format, metadata } => {
            assert_eq!(format, AudioFormat::Wav);
            assert_eq!(metadata.as_deref(), Some(r#"{"lufs":-23}"#));
        }
        other => panic!("{other:?}"),
    }
}

#[actix_rt::test]
async fn a_late_reply_is_kept_a_second_and_an_unknown_one_are_counted() {
    let (mut kit, mut conn) = joined().await;
    kit.send(1, &audio(0, 1000));
    let fragment = conn.fragment().await.fragment;
    kit.expect_sent(1).await;
    kit.link.send(CancelFragment { batch: 1 }).await.unwrap();
    conn.processed(&fragment, &audio(5, 10)).await;
    assert_eq!(kit.expect_processed(1).await, audio(5, 10));
    conn.processed(&fragment, &audio(6, 10)).await;
    let event = kit.next().await;
    assert!(matches!(event, LinkEvent::DuplicateReply { batch: 1 }), "{event:?}");
    assert_eq!(std::fs::read(kit.reply_path(1)).unwrap(), audio(5, 10));
    for stranger in [json!({ "id": "demo-2" }), json!({ "streamId": "other", "batchNumber": 1 }), json!(null)]
    {
        conn.processed(&stranger, &audio(7, 10)).await;
        let event = kit.next().await;
        assert!(matches!(event, LinkEvent::UnmatchedReply), "{event:?}");
    }
    conn.event("progress", json!({ "percent": 3 })).await;
    conn.text("2").await;
    conn.expect_text("3").await;
    kit.expect_silence();
}

#[actix_rt::test]
async fn a_processor_that_has_no_audio_says_why() {
    let (mut kit, mut conn) = joined().await;
    for batch in 1..=4 {
        kit.send(batch, &audio(0, 1000));
        conn.fragment().await;
        kit.expect_sent(batch).await;
    }
    conn.event("fragment:error", json!({ "fragment": { "id": "demo-1" }, "error": "no model", "code": 7 }))
        .await;
    conn.processed(&json!({ "id": "demo-2" }), b"<html>busy</html>").await;
    conn.event("fragment:processed", json!({ "fragment": { "id": "demo-3" } })).await;
    conn.processed(&json!({ "id": "demo-4" }), b"").await;
    let expected = [
        "processor reported an error: no model (7)",
        "processor's reply is not audio: 17 bytes that begin with 3c 68 74 6d 6c 3e 62 75 73 79 3c 2f 68 74 6d 6c",
        "processor's reply is not audio: data is missing",
        "processor's reply is not audio: 0 bytes",
    ];
    for (number, expected) in (1..).zip(expected) {
        match kit.next().await {
            LinkEvent::FragmentFailed { batch, fault } if batch == number => {
                assert_eq!(fault.to_string(), expected);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[actix_rt::test]
async fn a_fragment_above_the_servers_limit_is_not_sent_and_one_at_it_is() {
    let peer = Peer::listen().await;
    let mut kit = Kit::start(&peer.url());
    let mut conn = peer.accept().await;
    conn.open(json!({ "maxPayload": 5000 })).await;
    conn.join().await;
    kit.expect_connected().await;
    kit.send(1, &audio(0, 5001));
    match kit.next().await {
        LinkEvent::FragmentFailed { batch: 1, fault } => {
            assert_eq!(fault, FragmentFault::TooLarge { size: 5001, limit: 5000 });
        }
        other => panic!("{other:?}"),
    }
    kit.send(2, &audio(0, 5000));
    assert_eq!(conn.fragment().await.audio.len(), 5000);
    kit.expect_sent(2).await;
}

#[actix_rt::test]
async fn files_that_cannot_be_read_or_written_are_faults_of_their_batch() {
    let (mut kit, mut conn) = joined().await;
    kit.link.do_send(kit.command(1));
    kit.send(2, &audio(0, 1000));
    match kit.next().await {
        LinkEvent::FragmentFailed { batch: 1, fault: FragmentFault::File { detail } } => {
            assert!(detail.contains("audio-1.fmp4: No such file"), "{detail}");
        }
        other => panic!("{other:?}"),
    }
    let fragment = conn.fragment().await.fragment;
    kit.expect_sent(2).await;
    std::fs::create_dir(kit.reply_path(2)).unwrap();
    conn.processed(&fragment, &audio(1, 10)).await;
    match kit.next().await {
        LinkEvent::FragmentFailed { batch: 2, fault: FragmentFault::File { detail } } => {
            assert!(detail.contains("processed-2.fmp4: "), "{detail}");
        }
        other => panic!("{other:?}"),
    }
}

#[actix_rt::test]
async fn pings_and_requests_for_acknowledgement_are_answered() {
    let (mut kit, mut conn) = joined().await;
    conn.text("2probe").await;
    conn.expect_text("3probe").await;
    conn.message(Message::Ping(Bytes::from_static(b"hi"))).await;
    assert_eq!(conn.frame().await, Some(Frame::Pong(Bytes::from_static(b"hi"))));
    conn.text(r#"4212["fragment:error",{"fragment":{},"error":"x"}]"#).await;
    conn.expect_text("4312[]").await;
    let event = kit.next().await;
    assert!(matches!(event, LinkEvent::UnmatchedReply), "{event:?}");
}
