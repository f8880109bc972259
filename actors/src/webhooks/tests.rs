//! Deliveries to a server of the test's own.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use actix::Addr;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, dev::ServerHandle, http::StatusCode, web};
use serde_json::Value;

use super::*;
use crate::settings::StreamId;

/// What came: headers by name, and the body.
struct Post {
    headers: Vec<(String, String)>,
    body: String,
}

impl Post {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

#[derive(Default)]
struct Inbox {
    posts: Mutex<Vec<Post>>,
    /// Answers to give, 204 when there are none left.
    answers: Mutex<VecDeque<u16>>,
}

async fn take(inbox: web::Data<Inbox>, request: HttpRequest, body: String) -> HttpResponse {
    let text = |value: &actix_web::http::header::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let headers = request.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    inbox.posts.lock().unwrap().push(Post { headers, body });
    let status = inbox.answers.lock().unwrap().pop_front().unwrap_or(204);
    HttpResponse::build(StatusCode::from_u16(status).unwrap()).finish()
}

struct Bench {
    url: String,
    inbox: web::Data<Inbox>,
    server: ServerHandle,
    events: EventHub,
    webhooks: Addr<Webhooks>,
    store: Store,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new(allow_private: bool) -> Self {
        let inbox = web::Data::new(Inbox::default());
        let data = inbox.clone();
        let app = move || App::new().app_data(data.clone()).default_service(web::to(take));
        let server = HttpServer::new(app).workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
        let url = format!("http://u:hunter2@{}/T0/hunter2", server.addrs()[0]);
        let server = server.run();
        let handle = server.handle();
        actix_rt::spawn(server);
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(&folder.path().join("state")).unwrap();
        let events = EventHub::default();
        let webhooks = Webhooks::new(store.clone(), events.clone(), allow_private).start();
        Self { url, inbox, server: handle, events, webhooks, store, _folder: folder }
    }

    async fn add(&self, events: &[HookEvent], stream: Option<&str>) -> Result<WebhookView, RequestError> {
        let request = AddWebhook {
            url: self.url.clone(),
            secret: Some("hunter2".to_owned()),
            events: events.to_vec(),
            stream_id: stream.map(|id| StreamId::new(id).unwrap()),
        };
        self.webhooks.send(request).await.unwrap()
    }

    fn tell(&self, event: HookEvent, stream: &str) {
        self.events.tell_notice(Notice::new(
            event,
            StreamId::new(stream).unwrap(),
            serde_json::json!({ "n": 1 }),
        ));
    }

    /// Waits until the one webhook's view is as wanted.
    async fn view(&self, wanted: impl Fn(&WebhookView) -> bool) -> WebhookView {
        let seen = async {
            loop {
                let views = self.webhooks.send(ListWebhooks).await.unwrap().unwrap();
                if wanted(&views[0]) {
                    return views[0].clone();
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), seen).await.expect("it becomes as wanted")
    }

    fn posts(&self) -> std::sync::MutexGuard<'_, Vec<Post>> {
        self.inbox.posts.lock().unwrap()
    }
}

#[actix::test]
async fn what_is_asked_for_is_posted_signed_and_nothing_else() {
    let bench = Bench::new(true);
    assert!(!bench.events.wants_notices());
    let view = bench.add(&[HookEvent::OutputDown, HookEvent::StreamState], Some("news")).await.unwrap();
    assert!(!format!("{view:?}").contains("hunter2") && view.has_secret, "{view:?}");
    assert!(bench.events.wants_notices());
    bench.tell(HookEvent::OutputUp, "news");
    bench.tell(HookEvent::OutputDown, "sport");
    bench.tell(HookEvent::OutputDown, "news");
    bench.view(|view| view.delivered == 1).await;
    let test = bench.webhooks.send(TestWebhook { id: view.id.clone() }).await.unwrap().unwrap();
    assert_eq!((test.delivered, test.status, test.error), (true, Some(204), None));
    {
        let posts = bench.posts();
        assert_eq!(posts.len(), 2);
        for (post, event) in posts.iter().zip(["output.down", "test"]) {
            assert_eq!(
                (post.json()["event"].as_str(), post.header("overdub-event")),
                (Some(event), Some(event))
            );
            let timestamp = post.header(TIMESTAMP).unwrap();
            let expected = signature("hunter2", timestamp, &post.body);
            assert_eq!(post.header(SIGNATURE), Some(expected.as_str()));
            assert_eq!(post.header("content-type"), Some("application/json"));
            assert_eq!(post.header("authorization"), Some("Basic dTpodW50ZXIy"));
        }
        assert_eq!(
            (&posts[0].json()["streamId"], &posts[0].json()["data"]["n"]),
            (&"news".into(), &1.into())
        );
    }
    bench.webhooks.send(RemoveWebhook { id: view.id.clone() }).await.unwrap().unwrap();
    assert!(bench.webhooks.send(RemoveWebhook { id: view.id }).await.unwrap().is_err());
    assert!(!bench.events.wants_notices());
    bench.server.stop(false).await;
}

#[actix::test]
async fn what_was_not_taken_is_tried_again_unless_it_never_will_be() {
    let bench = Bench::new(true);
    bench.inbox.answers.lock().unwrap().extend([500, 429, 204, 410]);
    bench.add(&HookEvent::ALL, None).await.unwrap();
    bench.tell(HookEvent::OutputDown, "news");
    bench.tell(HookEvent::OutputUp, "news");
    let view = bench.view(|view| view.failed == 1).await;
    assert_eq!((view.delivered, view.pending, view.dropped), (1, 0, 0));
    let last = view.last_attempt.unwrap();
    assert_eq!((last.status, last.error.as_deref()), (Some(410), Some("answered 410")));
    let posts = bench.posts();
    let ids: Vec<Value> = posts.iter().map(|post| post.json()["id"].clone()).collect();
    assert_eq!(ids.len(), 4);
    assert!(ids[0] == ids[1] && ids[1] == ids[2] && ids[2] != ids[3], "{ids:?}");
}

#[actix::test]
async fn at_the_last_call_what_waits_is_tried_once_more_and_no_further() {
    let bench = Bench::new(true);
    bench.inbox.answers.lock().unwrap().extend([500, 204, 500]);
    bench.add(&HookEvent::ALL, None).await.unwrap();
    bench.tell(HookEvent::OutputDown, "news");
    bench.view(|view| view.last_attempt.as_ref().is_some_and(|last| last.status == Some(500))).await;
    // The actor hears of this one only after the last call has come.
    bench.tell(HookEvent::StreamState, "news");
    let call = bench.webhooks.send(LastCall);
    tokio::time::timeout(Duration::from_secs(60), call).await.expect("it ends").unwrap();
    {
        let posts = bench.posts();
        let ids: Vec<Value> = posts.iter().map(|post| post.json()["id"].clone()).collect();
        assert_eq!(ids.len(), 3, "{ids:?}");
        assert!(ids[0] == ids[1] && ids[1] != ids[2], "{ids:?}");
    }
    assert!(!bench.events.wants_notices());
    bench.server.stop(false).await;
}

#[actix::test]
async fn webhooks_outlive_the_process_and_are_bounded() {
    let bench = Bench::new(true);
    let kept = bench.add(&[HookEvent::StreamState], None).await.unwrap();
    let again = Webhooks::new(bench.store.clone(), bench.events.clone(), true).start();
    let views = again.send(ListWebhooks).await.unwrap().unwrap();
    assert_eq!(views.iter().map(|view| &view.id).collect::<Vec<_>>(), [&kept.id]);
    for _ in 1..MAX_WEBHOOKS {
        bench.add(&[HookEvent::StreamState], None).await.unwrap();
    }
    let refused = bench.add(&[HookEvent::StreamState], None).await.unwrap_err();
    assert_eq!(refused, RequestError::TooManyWebhooks);
}

#[actix::test]
async fn one_that_does_not_answer_is_dropped_to_and_holds_no_more_than_its_queue() {
    let bench = Bench::new(true);
    bench.inbox.answers.lock().unwrap().extend([500; 100]);
    bench.add(&[HookEvent::StreamState], None).await.unwrap();
    for _ in 0..1000 {
        bench.tell(HookEvent::StreamState, "news");
    }
    let view = bench.view(|view| view.dropped >= 700).await;
    assert!(view.pending <= 256, "{view:?}");
}

#[actix::test]
async fn a_private_address_is_refused_where_it_is_not_allowed() {
    let bench = Bench::new(false);
    let refused = bench.add(&[HookEvent::StreamState], None).await.unwrap_err();
    assert!(refused.to_string().contains("fetch.allow_private"), "{refused}");
}
