//! One listener's WebSocket. actix-web-actors is deprecated in favour of actix-ws; it is kept to this file.
//!
//! The actor runs only while its client takes what it is sent: the server asks it for more when the
//! connection's buffer has room. A client that does not read falls behind the hub's ring, which bounds what is
//! held for it, and is dropped with the reason as soon as it reads again, or by the connection's time limit.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, StreamHandler};
use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_actors::ws;
use futures_util::stream;
use overdub_actors::events::{Event, Happening, Heard, Subscription};
use overdub_actors::settings::StreamId;
use tokio::time::Instant;

use super::PROTOCOL;
use crate::problem::Problem;

/// How often a client is pinged.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// A client that has said nothing for so long, not even a pong, is gone.
const SILENCE_LIMIT: Duration = Duration::from_secs(50);
/// A client has nothing to say but pongs and its close.
const MAX_FRAME_LEN: usize = 4096;

pub(super) struct Socket {
    /// Taken when the actor starts.
    subscription: Option<Subscription>,
    stream: Option<StreamId>,
    snapshot: String,
    heard_at: Instant,
}

impl Socket {
    pub(super) fn new(subscription: Subscription, stream: Option<StreamId>, snapshot: String) -> Self {
        Self { subscription: Some(subscription), stream, snapshot, heard_at: Instant::now() }
    }

    /// Says why, and ends the connection.
    fn close(ctx: &mut ws::WebsocketContext<Self>, code: ws::CloseCode, reason: &str) {
        ctx.text(Happening::Closing { reason }.text());
        Self::hang_up(ctx, code, reason);
    }

    fn hang_up(ctx: &mut ws::WebsocketContext<Self>, code: ws::CloseCode, reason: &str) {
        // RFC 6455 5.5: a control frame holds 125 bytes, two of them the code.
        let end = reason.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= 123).last();
        let description = Some(reason[..end.unwrap_or(0)].to_owned());
        ctx.close(Some(ws::CloseReason { code, description }));
        ctx.stop();
    }
}

/// Makes the connection a WebSocket with `socket` behind it.
pub(super) fn accept(
    socket: Socket,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    ws::WsResponseBuilder::new(socket, request, payload)
        .protocols(&[PROTOCOL])
        .frame_size(MAX_FRAME_LEN)
        .start()
        .map_err(|error| Problem::bad_handshake(&error.to_string()))
}

impl Actor for Socket {
    type Context = ws::WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.text(std::mem::take(&mut self.snapshot));
        if let Some(subscription) = self.subscription.take() {
            let heard = stream::unfold((subscription, self.stream.clone()), async |(mut own, stream)| {
                Some((own.next(stream.as_ref()).await, (own, stream)))
            });
            ctx.add_stream(heard);
        }
        ctx.run_interval(PING_INTERVAL, |this, ctx| {
            if this.heard_at.elapsed() > SILENCE_LIMIT {
                Self::close(ctx, ws::CloseCode::Policy, "no pong came; the connection counts as lost");
            } else {
                ctx.ping(b"");
            }
        });
    }
}

impl StreamHandler<Heard> for Socket {
    fn handle(&mut self, heard: Heard, ctx: &mut Self::Context) {
        match heard {
            Heard::Event(event) => send(&event, ctx),
            Heard::Lost(events) => {
                let reason = format!("too slow: {events} events are lost; connect again for a new snapshot");
                // RFC 6455's registry: 1013 is "try again later".
                Self::close(ctx, ws::CloseCode::Again, &reason);
            }
            Heard::Closed => Self::close(ctx, ws::CloseCode::Away, "the service is shutting down"),
        }
    }

    fn finished(&mut self, _: &mut Self::Context) {}
}

fn send(event: &Arc<Event>, ctx: &mut ws::WebsocketContext<Socket>) {
    ctx.text(event.text.clone());
    if let Some(reason) = &event.end {
        Socket::hang_up(ctx, ws::CloseCode::Away, reason);
    }
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for Socket {
    fn handle(&mut self, message: Result<ws::Message, ws::ProtocolError>, ctx: &mut Self::Context) {
        self.heard_at = Instant::now();
        match message {
            Ok(ws::Message::Ping(bytes)) => ctx.pong(&bytes),
            // The answer to its own close (RFC 6455 5.5.1).
            Ok(ws::Message::Close(reason)) => {
                ctx.close(reason);
                ctx.stop();
            }
            Ok(_) => {}
            Err(error) => Self::close(ctx, ws::CloseCode::Protocol, &error.to_string()),
        }
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
