//! How an answer of the simulated JumpCloud goes over the wire: whole, slowly, cut off or never.
//!
//! Refuses to pad anything: what a fault leaves out is really not sent.

use std::{
    collections::VecDeque,
    future::{Future as _, pending},
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, Response, StatusCode, header},
};
use http_body::Frame;
use serde_json::Value;
use tokio::time::{Sleep, sleep};

use super::reply::Reply;

/// Long enough for what was written to leave before the connection is cut.
const FLUSH: Duration = Duration::from_millis(20);

/// An answer and its way out.
pub(super) enum Answer {
    /// As it is.
    Whole { reply: Reply, retry_after: Option<String> },
    /// A page for people.
    Html(u16),
    /// In eight pieces with a pause between them.
    Slow { reply: Reply, pause: Duration },
    /// Half of the body, and the connection is cut.
    CutInBody(Reply),
    /// Half of the body, as if that were all.
    Truncated(Reply),
    /// The connection is cut before the first byte.
    Cut,
    /// Nothing until the client gives up.
    Never,
}

impl Answer {
    pub(super) fn plain(reply: Reply) -> Self {
        Self::Whole { reply, retry_after: None }
    }

    /// The status that goes out, if one does.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Whole { reply, .. } | Self::Slow { reply, .. } => Some(reply.status),
            Self::CutInBody(reply) | Self::Truncated(reply) => Some(reply.status),
            Self::Html(status) => Some(*status),
            Self::Cut | Self::Never => None,
        }
    }

    /// What goes out whole, if anything does.
    pub(super) fn reply(&self) -> Option<&Reply> {
        match self {
            Self::Whole { reply, .. } | Self::Slow { reply, .. } => Some(reply),
            _ => None,
        }
    }

    /// The response; for [`Answer::Never`], no earlier than the end of the connection.
    pub(super) async fn into_response(self) -> Response<Body> {
        match self {
            Self::Whole { reply, retry_after } => whole(&reply, retry_after.as_deref()),
            Self::Html(status) => {
                let page = "<!DOCTYPE html><html><head><title>JumpCloud</title></head>\
                    <body><h1>Something went wrong</h1></body></html>";
                response(status, "text/html; charset=utf-8", Body::from(page))
            }
            Self::Slow { reply, pause } => {
                let text = text(&reply);
                let size = text.len().div_ceil(8).max(1);
                let pieces = text.chunks(size).map(Bytes::copy_from_slice).collect();
                json(reply.status, Body::new(Pieces { pieces, pause, cut: false, waiting: None }))
            }
            Self::CutInBody(reply) => {
                let text = text(&reply);
                let half = Bytes::copy_from_slice(&text[..text.len() / 2]);
                let body = Pieces { pieces: [half].into(), pause: FLUSH, cut: true, waiting: None };
                let mut response = json(reply.status, Body::new(body));
                response.headers_mut().insert(header::CONTENT_LENGTH, text.len().into());
                response
            }
            Self::Truncated(reply) => {
                let mut text = text(&reply);
                text.truncate(text.len() / 2);
                json(reply.status, Body::from(text))
            }
            Self::Cut => {
                // A body that fails at once ends the connection before the header is flushed.
                let body = Pieces { pieces: VecDeque::new(), pause: FLUSH, cut: true, waiting: None };
                json(200, Body::new(body))
            }
            Self::Never => pending().await,
        }
    }
}

fn whole(reply: &Reply, retry_after: Option<&str>) -> Response<Body> {
    let body = Body::from(text(reply));
    let mut response = match &reply.body {
        Some(Value::String(_)) => response(reply.status, "text/plain; charset=utf-8", body),
        _ => json(reply.status, body),
    };
    for (name, value) in &reply.headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(*name, value);
        }
    }
    if let Some(value) = retry_after.and_then(|text| HeaderValue::from_str(text).ok()) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

fn text(reply: &Reply) -> Vec<u8> {
    match &reply.body {
        Some(Value::String(plain)) => plain.clone().into_bytes(),
        Some(body) => body.to_string().into_bytes(),
        None => Vec::new(),
    }
}

fn json(status: u16, body: Body) -> Response<Body> {
    response(status, "application/json; charset=utf-8", body)
}

fn response(status: u16, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A body in pieces, which ends properly or with the connection.
struct Pieces {
    pieces: VecDeque<Bytes>,
    pause: Duration,
    cut: bool,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(waiting) = &mut self.waiting {
            ready!(waiting.as_mut().poll(context));
            self.waiting = None;
        }
        if let Some(piece) = self.pieces.pop_front() {
            self.waiting = Some(Box::pin(sleep(self.pause)));
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        Poll::Ready(self.cut.then(|| Err(io::ErrorKind::ConnectionReset.into())))
    }
}
