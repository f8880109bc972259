//! The plain page, and the built one where it has been built.

use crate::client::Service;
use crate::fake::Mood;

#[actix_rt::test]
async fn the_plain_page_lists_streams_and_lets_nothing_be_injected() {
    let service = Service::impatient();
    service.fake.add("news", |view| view.reason = Some("<script>alert(1)</script>".to_owned()));
    let page = service.get("/plain").await;
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    assert!(page.text().contains("href=\"/live/news/index.m3u8\""));
    assert!(!page.text().contains("<script>"));
    assert!(page.text().contains("&lt;script&gt;"));
    service.fake.set_mood(Mood::Mute);
    assert_eq!(service.get("/plain").await.status, 200);
}

#[actix_rt::test]
async fn the_page_runs_no_script_but_its_own_and_says_how_it_is_built_where_it_is_not() {
    let service = Service::start();
    let page = service.get("/").await;
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    let text = page.text();
    let Some(script) = script_of(text) else {
        assert!(text.contains("is built by <code>make</code>"), "{text}");
        eprintln!("skipped: the page has not been built (make page)");
        return;
    };
    assert!(policy.contains("script-src 'self';"), "{policy}");
    assert!(!text.contains("<script>") && !text.contains("style="), "{text}");

    let script = service.get(script).await;
    assert_eq!((script.status, script.header("content-encoding")), (200, None));
    assert!(script.header("content-type").unwrap().starts_with("text/javascript"));
    assert!(script.header("cache-control").unwrap().contains("immutable"));
}

#[actix_rt::test]
async fn the_page_comes_packed_to_those_who_unpack_and_only_once() {
    let service = Service::start();
    let page = service.get("/").await;
    let text = page.text();
    let Some(script) = script_of(text) else {
        eprintln!("skipped: the page has not been built (make page)");
        return;
    };
    let whole = service.get(script).await.body.len();
    for encoding in ["br", "gzip"] {
        let head = format!("GET {script} HTTP/1.1\nAccept-Encoding: {encoding}");
        let packed = service.raw(&head, b"").await;
        assert_eq!(packed.header("content-encoding"), Some(encoding));
        assert!(packed.header("vary").unwrap().eq_ignore_ascii_case("accept-encoding"));
        assert!(packed.body.len() * 2 < whole, "{} of {whole}", packed.body.len());
    }
    let tag = page.header("etag").unwrap();
    let again = service.raw(&format!("GET / HTTP/1.1\nIf-None-Match: {tag}"), b"").await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    let other = service.raw("GET / HTTP/1.1\nIf-None-Match: \"other\"", b"").await;
    assert_eq!(other.status, 200);
}

#[actix_rt::test]
async fn what_is_no_part_of_the_page_is_not_found() {
    let service = Service::start();
    for target in
        ["/assets/none.js", "/assets/..%2findex.html", "/assets/..%2f..%2f..%2fCargo.toml", "/index.html"]
    {
        service.get(target).await.problem(404);
    }
}

/// Path of the script that the built page loads.
fn script_of(page: &str) -> Option<&str> {
    let begin = page.find("/assets/index-")?;
    let rest = &page[begin..];
    let end = rest.find(".js\"")?;
    Some(&rest[..end + 3])
}
