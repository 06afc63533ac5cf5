//! The files of the page, built into the binary so that it works from any folder and without a
//! network. Never anything from another host: the policy sent along forbids the browser to ask.
//! Served by the page's router.

use axum::body::Body;
use axum::extract::Path;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};

/// Only this origin, and no script or style written into the document.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

struct Asset {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

const fn asset_of(name: &'static str, kind: &'static str, text: &'static str) -> Asset {
    Asset { name, kind, text }
}

const JS: &str = "text/javascript; charset=utf-8";

const ASSETS: [Asset; 15] = [
    asset_of(
        "page.css",
        "text/css; charset=utf-8",
        include_str!("../../page/page.css"),
    ),
    asset_of(
        "handset.css",
        "text/css; charset=utf-8",
        include_str!("../../page/handset.css"),
    ),
    asset_of("page.js", JS, include_str!("../../page/page.js")),
    asset_of("ask.js", JS, include_str!("../../page/ask.js")),
    asset_of("words.js", JS, include_str!("../../page/words.js")),
    asset_of("keys.js", JS, include_str!("../../page/keys.js")),
    asset_of("handset.js", JS, include_str!("../../page/handset.js")),
    asset_of("map.js", JS, include_str!("../../page/map.js")),
    asset_of("elements.js", JS, include_str!("../../page/elements.js")),
    asset_of("guide.js", JS, include_str!("../../page/guide.js")),
    asset_of("bookmark.js", JS, include_str!("../../page/bookmark.js")),
    asset_of("cells.js", JS, include_str!("../../page/cells.js")),
    asset_of("world.js", JS, include_str!("../../page/world.js")),
    asset_of(
        "icon.svg",
        "image/svg+xml",
        include_str!("../../page/icon.svg"),
    ),
    asset_of(
        "kenya.geojson",
        "application/geo+json",
        include_str!("../../page/kenya.geojson"),
    ),
];

/// The document.
pub(super) async fn index() -> Response {
    answer(
        "text/html; charset=utf-8",
        include_str!("../../page/index.html"),
    )
}

/// A file of it by name.
pub(super) async fn asset(Path(name): Path<String>) -> Response {
    if let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) {
        return answer(asset.kind, asset.text);
    }
    let mut response = Response::new(Body::from("no such file"));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

fn answer(kind: &'static str, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    // a rebuilt binary must not meet yesterday's script
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
