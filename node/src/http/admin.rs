//! `/admin`: what the command line asks of a running node. Long steps run off the reactor.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use p2pdb_model::NodeId;
use serde::{Deserialize, Serialize};

use crate::admin::{
    AccountRequest, ClockRequest, DelegateRequest, ErrorReport, InviteRequest, KeyRequest, NodesRequest,
    PasswordRequest, PathRequest,
};
use crate::app::App;
use crate::clock::SystemClock;
use crate::ops;

/// Most blocks that `/admin/log` gives at once.
const LOG_MAX: usize = 10_000;

type Shared = State<Arc<App>>;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/status", get(status))
        .route("/members", get(members))
        .route("/members/remove", post(remove))
        .route("/log", get(log))
        .route("/invite", post(invite))
        .route("/verify", post(verify))
        .route("/export", post(export))
        .route("/import", post(import))
        .route("/backup", post(backup))
        .route("/password", post(password))
        .route("/account", post(account))
        .route("/delegate", post(delegate))
        .route("/key", post(key))
        .route("/partition", post(partition))
        .route("/heal", post(heal))
        .route("/clock", post(clock))
}

fn refused(status: StatusCode, error: impl std::fmt::Display) -> Response {
    (status, Json(ErrorReport { error: format!("{error:#}") })).into_response()
}

/// Runs a step that blocks.
async fn blocking<T: Serialize + Send + 'static>(
    app: Arc<App>,
    f: impl FnOnce(&App) -> anyhow::Result<T> + Send + 'static,
) -> Response {
    match tokio::task::spawn_blocking(move || f(&app)).await {
        Ok(Ok(value)) => Json(value).into_response(),
        Ok(Err(e)) => refused(StatusCode::CONFLICT, format!("{e:#}")),
        Err(e) => refused(StatusCode::INTERNAL_SERVER_ERROR, e),
    }
}

async fn status(State(app): Shared) -> Response {
    Json(app.status().await).into_response()
}

async fn members(State(app): Shared) -> Response {
    blocking(app, |app| Ok(ops::members(app.engine()))).await
}

#[derive(Deserialize)]
struct LogQuery {
    limit: Option<usize>,
}

async fn log(State(app): Shared, Query(query): Query<LogQuery>) -> Response {
    let limit = query.limit.unwrap_or(100).min(LOG_MAX);
    blocking(app, move |app| ops::log(app.engine(), limit)).await
}

async fn remove(State(app): Shared, Json(request): Json<NodesRequest>) -> Response {
    blocking(app, move |app| {
        for text in &request.nodes {
            ops::remove_member(app.engine(), text)?;
        }
        Ok(ops::members(app.engine()))
    })
    .await
}

async fn invite(State(app): Shared, Json(request): Json<InviteRequest>) -> Response {
    let listening = app.listening();
    blocking(app, move |app| ops::invite(app.engine(), app.dir(), &request, &listening)).await
}

async fn verify(State(app): Shared) -> Response {
    blocking(app, |app| {
        let report = ops::verify(app.engine(), app.dir(), &mut |_, _, _| {})?;
        app.has_verified(&report);
        Ok(report)
    })
    .await
}

async fn export(State(app): Shared, Json(request): Json<PathRequest>) -> Response {
    blocking(app, move |app| ops::export(app.engine(), &PathBuf::from(request.path), &mut |_, _, _| {})).await
}

async fn import(State(app): Shared, Json(request): Json<PathRequest>) -> Response {
    blocking(app, move |app| ops::import(app.engine(), &PathBuf::from(request.path), &mut |_, _, _| {})).await
}

async fn backup(State(app): Shared, Json(request): Json<PathRequest>) -> Response {
    blocking(app, move |app| ops::backup(app.engine(), app.dir(), &PathBuf::from(request.path))).await
}

async fn password(State(app): Shared, Json(request): Json<PasswordRequest>) -> Response {
    blocking(app, move |app| app.set_password(&request.user, &request.secret)).await
}

async fn account(State(app): Shared, Json(request): Json<AccountRequest>) -> Response {
    blocking(app, move |app| ops::account(app.engine(), &request)).await
}

async fn delegate(State(app): Shared, Json(request): Json<DelegateRequest>) -> Response {
    blocking(app, move |app| ops::delegate(app.engine(), &request)).await
}

async fn key(State(app): Shared, Json(request): Json<KeyRequest>) -> Response {
    blocking(app, move |app| ops::import_key(app.engine(), app.logins(), &request)).await
}

async fn partition(State(app): Shared, Json(request): Json<NodesRequest>) -> Response {
    let nodes: Option<Vec<NodeId>> = request.nodes.iter().map(|n| NodeId::from_hex(n)).collect();
    let Some(nodes) = nodes else {
        return refused(StatusCode::BAD_REQUEST, "a node is named by the 64 hexadecimal digits of its key");
    };
    set_blocked(app, nodes).await
}

async fn heal(State(app): Shared) -> Response {
    set_blocked(app, Vec::new()).await
}

async fn clock(State(app): Shared, Json(request): Json<ClockRequest>) -> Response {
    if let Some(refusal) = no_testnet(&app, "a wrong clock is") {
        return refusal;
    }
    tracing::warn!(ahead_ms = request.ahead_ms, "the clock of this node is wrong on purpose");
    SystemClock.set_wrong_by_ms(request.ahead_ms);
    Json(app.status().await).into_response()
}

/// What is for test networks is refused elsewhere.
fn no_testnet(app: &App, what: &str) -> Option<Response> {
    let error =
        || format!("this node does not run as part of a testnet; {what} possible with --testnet true only");
    (!app.is_testnet()).then(|| refused(StatusCode::FORBIDDEN, error()))
}

async fn set_blocked(app: Arc<App>, nodes: Vec<NodeId>) -> Response {
    if let Some(refusal) = no_testnet(&app, "partitions are") {
        return refusal;
    }
    match app.set_blocked(nodes).await {
        Ok(()) => Json(app.status().await).into_response(),
        Err(e) => refused(StatusCode::INTERNAL_SERVER_ERROR, e),
    }
}
