//! HTTP on loopback: health, readiness, metrics, and the admin interface that the command line and the testnet use.
//!
//! `/healthz`, `/readyz` and `/metrics` are open to this machine; everything under `/admin` asks for the token in the
//! data directory, so file permissions decide who may use it.

mod admin;
mod exposition;
mod metrics;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use subtle_eq::same;

use self::exposition::Format;
use crate::admin::{BEARER, ErrorReport};
use crate::app::App;

/// Starts serving; ends when the future `stop` does.
pub async fn serve(
    app: Arc<App>,
    listener: tokio::net::TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let admin = admin::routes().layer(middleware::from_fn_with_state(app.clone(), authorised));
    let router = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_page))
        .nest("/admin", admin)
        .with_state(app);
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

async fn healthz(State(app): State<Arc<App>>) -> Response {
    if app.writer_runs() {
        (StatusCode::OK, "ok\n").into_response()
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, "the writer thread has ended; restart the node and see its log\n")
            .into_response()
    }
}

async fn readyz(State(app): State<Arc<App>>) -> Response {
    let reasons = app.reasons_not_ready();
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let warnings = app.warnings();
    let body = serde_json::json!({ "ready": reasons.is_empty(), "reasons": reasons, "warnings": warnings });
    (status, axum::Json(body)).into_response()
}

async fn metrics_page(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok());
    let format = Format::wanted(&accepted.collect::<Vec<_>>().join(","));
    match metrics::render(&app) {
        Ok(text) => ([(header::CONTENT_TYPE, format.content_type())], format.write(text)).into_response(),
        Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, e.to_string()).into_response(),
    }
}

async fn authorised(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    request: Request,
    next: Next,
) -> Response {
    let given = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let token = given.and_then(|v| v.strip_prefix(BEARER));
    if token.is_some_and(|token| same(token.as_bytes(), app.admin_token().as_bytes())) {
        return next.run(request).await;
    }
    let error = "the admin interface asks for the token in the data directory's admin.token".to_owned();
    (StatusCode::UNAUTHORIZED, axum::Json(ErrorReport { error })).into_response()
}

mod subtle_eq {
    /// Compares without telling by its time how much was right.
    pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
        a.len() == b.len() && a.iter().zip(b).fold(0, |d, (x, y)| d | (x ^ y)) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::subtle_eq::same;

    #[test]
    fn only_the_whole_token_is_the_token() {
        assert!(same(b"abc", b"abc"));
        for wrong in [&b""[..], b"ab", b"abd", b"abcd"] {
            assert!(!same(wrong, b"abc"));
        }
    }
}
