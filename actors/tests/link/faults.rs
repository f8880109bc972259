//! Connections that fail, in every way they do.

use std::time::Duration;

use actix::{AsyncContext, Context};
use actix_http::ws::{CloseCode, CloseReason, Message};
use futures_util::StreamExt;
use overdub_actors::link::LinkLimits;
use overdub_actors::messages::{CancelFragment, LinkEvent};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::kit::{Kit, audio, link, quick};
use crate::peer::Peer;

#[actix_rt::test]
async fn a_refused_connection_is_told_once_and_tried_until_it_goes() {
    let peer = Peer::listen().await;
    let port = peer.port;
    drop(peer);
    let mut kit = Kit::start(&format!("ws://127.0.0.1:{port}"));
    assert_eq!(kit.expect_disconnected().await, "connection refused");
    // Several tries later nothing more was said.
    tokio::time::sleep(Duration::from_millis(500)).await;
    kit.expect_silence();
    let peer = Peer::listen_on(port).await;
    let _conn = peer.accept_joined().await;
    kit.expect_connected().await;
}

#[actix_rt::test]
async fn each_distinct_reason_is_told() {
    let peer = Peer::listen().await;
    let limits = LinkLimits { connect: Duration::from_millis(300), ..quick() };
    let mut kit = Kit::start_with(&peer.url(), limits);
    let expected = [
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "answered HTTP 404: not a Socket.IO server"),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", ""),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", "answered HTTP 200: not a Socket.IO server"),
        ("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n", "answered HTTP 401: access denied"),
        (
            "HTTP/1.1 308 Permanent Redirect\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n",
            "answered HTTP 308: it redirects, so give the URL that it leads to",
        ),
        ("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n", "answered HTTP 502: the server fails"),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", "answered something that is not HTTP"),
        ("", "server closed the connection before it answered"),
    ];
    for (response, reason) in expected {
        peer.answer_http(response).await;
        if !reason.is_empty() {
            assert_eq!(kit.expect_disconnected().await, reason);
        }
    }
    let silent = peer.accept_raw().await;
    assert_eq!(kit.expect_disconnected().await, "no answer within 0.3 s");
    drop(silent);
    let mut upgraded = peer.accept().await;
    upgraded.text("hello").await;
    let reason = kit.expect_disconnected().await;
    assert_eq!(reason, "not a Socket.IO server: byte 0x68 is not an engine.io packet type");
    // Open, but the namespace is never answered.
    let mut upgraded = peer.accept().await;
    upgraded.open(json!({})).await;
    upgraded.expect_text("40").await;
    assert_eq!(upgraded.frame().await, None);
    let _conn = peer.accept_joined().await;
    kit.expect_connected().await;
}

#[actix_rt::test]
async fn a_url_that_is_none_is_told_and_never_dialled() {
    let mut kit = Kit::start("ftp://user:s3cret@127.0.0.1/");
    let reason = kit.expect_disconnected().await;
    assert_eq!(reason, "the processor's URL begins with ftp: instead of ws:, wss:, http: or https:");
}

#[actix_rt::test]
async fn credentials_go_along_and_never_come_back_in_a_reason() {
    let peer = Peer::listen().await;
    let mut kit = Kit::start(&format!("http://user:pa%40ss@127.0.0.1:{}/dub?token=s3cret", peer.port));
    let mut conn = peer.accept().await;
    assert!(
        conn.head.starts_with("GET /socket.io/?EIO=4&transport=websocket&token=s3cret "),
        "{}",
        conn.head
    );
    assert!(conn.head.contains("Basic dXNlcjpwYUBzcw=="), "{}", conn.head);
    conn.open(json!({})).await;
    conn.expect_text("40/dub,").await;
    conn.text(r#"44/dub,{"message":"token s3cret\nof pa@ss is wrong"}"#).await;
    assert_eq!(kit.expect_disconnected().await, "CONNECT_ERROR: token *** of *** is wrong");
}

#[actix_rt::test]
async fn a_server_that_does_not_ping_is_lost_and_what_was_sent_is_sent_again() {
    let peer = Peer::listen().await;
    let mut kit = Kit::start(&peer.url());
    let mut conn = peer.accept().await;
    conn.open(json!({ "pingInterval": 300, "pingTimeout": 200 })).await;
    conn.join().await;
    kit.expect_connected().await;
    kit.send(1, &audio(1, 1000));
    kit.send(2, &audio(2, 1000));
    kit.send(3, &audio(3, 1000));
    for batch in 1..=3 {
        conn.fragment().await;
        kit.expect_sent(batch).await;
    }
    conn.processed(&json!({ "id": "demo-1" }), &audio(9, 10)).await;
    kit.expect_processed(1).await;
    kit.link.send(CancelFragment { batch: 2 }).await.unwrap();
    assert_eq!(kit.expect_disconnected().await, "ping timeout: no ping from the server for 500 ms");
    let mut conn = peer.accept_joined().await;
    kit.expect_connected().await;
    assert_eq!(conn.fragment().await.audio, audio(3, 1000));
    kit.expect_sent(3).await;
    conn.text("2").await;
    conn.expect_text("3").await;
}

#[actix_rt::test]
async fn a_server_that_pings_is_kept() {
    let peer = Peer::listen().await;
    let mut kit = Kit::start(&peer.url());
    let mut conn = peer.accept().await;
    conn.open(json!({ "pingInterval": 200, "pingTimeout": 300 })).await;
    conn.join().await;
    kit.expect_connected().await;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        conn.text("2").await;
        conn.expect_text("3").await;
    }
    kit.expect_silence();
}

#[actix_rt::test]
async fn however_a_connection_ends_the_next_one_gets_what_is_unanswered() {
    let peer = Peer::listen().await;
    let mut kit = Kit::start(&peer.url());
    let endings: [(Message, &str); 6] = [
        (Message::Text("1".into()), "server closed the session"),
        (Message::Text("41".into()), "server closed the namespace"),
        (
            Message::Text("42[".into()),
            "not a Socket.IO server: payload: not the expected json at line 1 column 1",
        ),
        (
            Message::Binary("stray".into()),
            "not a Socket.IO server: binary message of 5 bytes that no packet announced",
        ),
        (
            Message::Close(Some(CloseReason { code: CloseCode::Size, description: Some("big".to_owned()) })),
            "server closed the connection: 1009 big (a message was too large for it)",
        ),
        (Message::Close(None), "server closed the connection"),
    ];
    kit.send(1, &audio(1, 1000));
    for (message, reason) in endings {
        let mut conn = peer.accept_joined().await;
        kit.expect_connected().await;
        assert_eq!(conn.fragment().await.audio, audio(1, 1000));
        kit.expect_sent(1).await;
        conn.message(message).await;
        assert_eq!(kit.expect_disconnected().await, reason);
    }
    let conn = peer.accept_joined().await;
    kit.expect_connected().await;
    drop(conn);
    // Dropped with unread bytes or without: a reset or an end of file.
    let reason = loop {
        match kit.next().await {
            LinkEvent::Disconnected { reason } => break reason,
            LinkEvent::FragmentSent { batch: 1 } => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(reason.contains("without a close frame") || reason.starts_with("connection lost"), "{reason}");
}

#[actix_rt::test]
async fn a_connection_cut_in_the_middle_of_a_reply_costs_nothing() {
    let peer = Peer::listen().await;
    let mut kit = Kit::start(&peer.url());
    let mut conn = peer.accept_joined().await;
    kit.expect_connected().await;
    kit.send(1, &audio(1, 1000));
    let fragment = conn.fragment().await.fragment;
    kit.expect_sent(1).await;
    let object = json!({ "fragment": fragment, "data": { "_placeholder": true, "num": 0 } });
    conn.text(&format!("451-{}", json!(["fragment:processed", object]))).await;
    let mut stream = conn.framed.into_parts().io;
    // A binary frame of 1000 bytes (RFC 6455 5.2), of which ten come.
    stream.write_all(&[0x82, 126, 0x03, 0xe8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]).await.unwrap();
    drop(stream);
    kit.expect_disconnected().await;
    let mut conn = peer.accept_joined().await;
    kit.expect_connected().await;
    let fragment = conn.fragment().await.fragment;
    kit.expect_sent(1).await;
    conn.processed(&fragment, &audio(3, 10)).await;
    assert_eq!(kit.expect_processed(1).await, audio(3, 10));
}

#[actix_rt::test]
async fn a_message_beyond_the_bound_ends_the_connection_before_it_is_read() {
    let peer = Peer::listen().await;
    let mut kit = Kit::start(&peer.url());
    let conn = peer.accept_joined().await;
    kit.expect_connected().await;
    let mut stream = conn.framed.into_parts().io;
    let mut header = vec![0x82, 127];
    header.extend(((64_u64 << 20) + 1).to_be_bytes());
    stream.write_all(&header).await.unwrap();
    assert_eq!(kit.expect_disconnected().await, "server sent a message of more than 67108864 bytes");
}

#[actix_rt::test]
async fn a_server_that_does_not_read_is_left() {
    let peer = Peer::listen().await;
    let limits = LinkLimits { stall: Duration::from_millis(500), ..quick() };
    let mut kit = Kit::start_with(&peer.url(), limits);
    let mut conn = peer.accept().await;
    conn.open(json!({ "maxPayload": 100_000_000 })).await;
    conn.join().await;
    kit.expect_connected().await;
    kit.send(1, &audio(1, 20_000_000));
    assert_eq!(kit.expect_disconnected().await, "server took no byte of a fragment for 0.5 s");
}

#[actix_rt::test]
async fn a_server_that_floods_is_left() {
    let peer = Peer::listen().await;
    let mut kit = Kit::start(&peer.url());
    let mut conn = peer.accept_joined().await;
    kit.expect_connected().await;
    for _ in 0..1000 {
        conn.event("fragment:error", json!({})).await;
    }
    for _ in 0..1000 {
        let event = kit.next().await;
        assert!(matches!(event, LinkEvent::UnmatchedReply), "{event:?}");
    }
    let reason = kit.expect_disconnected().await;
    assert_eq!(reason, "server sent 1000 replies in a row that match nothing");
}

#[actix_rt::test]
async fn a_hundred_and_fifty_links_of_one_thread_reach_one_server() {
    let peer = Peer::listen().await;
    let mut kits: Vec<Kit> = (0..150).map(|_| Kit::start(&peer.url())).collect();
    let mut conns = Vec::new();
    for _ in 0..kits.len() {
        conns.push(peer.accept_joined().await);
    }
    for kit in &mut kits {
        kit.expect_connected().await;
    }
}

#[actix_rt::test]
async fn a_link_that_nobody_wants_any_more_ends_with_its_socket() {
    let peer = Peer::listen().await;
    let mut kit = Kit::start(&peer.url());
    let mut conn = peer.accept_joined().await;
    kit.expect_connected().await;
    drop(kit);
    assert_eq!(conn.frame().await, None);
}

#[actix_rt::test]
async fn a_link_that_is_aborted_ends_with_its_socket_at_once() {
    let peer = Peer::listen().await;
    let (link, mut ear) = link(&peer.url());
    let context = Context::new();
    let address = context.address();
    let task = actix_rt::spawn(context.into_future(link));
    let mut conn = peer.accept_joined().await;
    ear.expect_connected().await;
    task.abort();
    let closed = timeout(Duration::from_millis(500), conn.framed.next()).await;
    assert!(closed.expect("the socket closes at once").is_none());
    assert!(!address.connected());
}
