//! `/plain`: a page without scripts that lists the streams and says where the API is. `/` is the [`built`] page,
//! or this one in a program that was built without.

pub(crate) mod built;

use std::fmt::Write as _;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use overdub_actors::requests::StreamView;

use crate::auth::{self, Access};
use crate::server::Shared;

/// No scripts, nothing from elsewhere, in nobody's frame.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

const HEAD: &str = "<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<meta http-equiv=\"refresh\" content=\"10\">
<title>Overdub</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #8884; vertical-align: top; }
code { font-size: .9em; }
:root { color-scheme: light dark; }
</style>
</head>
<body>
<h1>Overdub</h1>
";

const FOOT: &str = "<p>The page with all there is to see and to do is built by <code>make</code>, which needs Node 20 or later;
this one is shown without it, and at <code>/plain</code>.</p>
<h2>API</h2>
<table>
<tr><td><code>POST /api/streams</code></td><td>create a stream and start it</td></tr>
<tr><td><code><a href=\"/api/streams\">GET /api/streams</a></code></td><td>all streams</td></tr>
<tr><td><code>GET, DELETE /api/streams/{id}</code></td><td>one stream</td></tr>
<tr><td><code>POST /api/streams/{id}/start|stop|restart</code></td><td></td></tr>
<tr><td><code>GET /api/streams/{id}/batches</code></td><td>its batches, newest first</td></tr>
<tr><td><code>POST /api/pipeline/start|stop, GET /api/pipeline/status</code></td><td>the plain API</td></tr>
<tr><td><code>GET /api/storage/stats, POST /api/storage/clean</code></td><td>storage</td></tr>
<tr><td><code>GET /live/{id}/index.m3u8</code></td><td>the HLS output</td></tr>
<tr><td><code><a href=\"/metrics\">GET /metrics</a>, <a href=\"/healthz\">/healthz</a>, <a href=\"/readyz\">/readyz</a></code></td><td>for machines</td></tr>
</table>
</body>
</html>
";

/// `GET /plain`
pub(crate) async fn show(shared: web::Data<Shared>, request: HttpRequest) -> HttpResponse {
    let body = if auth::access(&request, &shared.settings()) == Access::None {
        "<p>The streams are shown to bearers of a token: <code>GET /api/streams</code>.</p>\n".to_owned()
    } else {
        match shared.registry.list().await {
            Ok(streams) => table(&streams),
            Err(problem) => format!("<p>{}</p>\n", escape(&problem.to_string())),
        }
    };
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(format!("{HEAD}{body}{FOOT}"))
}

fn table(streams: &[StreamView]) -> String {
    if streams.is_empty() {
        return "<p>There is no stream yet.</p>\n".to_owned();
    }
    let mut html = "<table>\n<tr><th>Stream</th><th>State</th><th>Watch</th></tr>\n".to_owned();
    for stream in streams {
        let id = stream.stream_id.as_str();
        let reason = stream.reason.as_deref().map_or(String::new(), |reason| format!(": {}", escape(reason)));
        let watch = stream.hls_path.as_deref().map_or(String::new(), |path| {
            let path = escape(path);
            format!("<a href=\"{path}\">{path}</a>")
        });
        // Writing to a String cannot fail.
        let _ = writeln!(
            html,
            "<tr><td><a href=\"/api/streams/{id}\">{id}</a></td><td>{}{reason}</td><td>{watch}</td></tr>",
            stream.state.name()
        );
    }
    html.push_str("</table>\n");
    html
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}
