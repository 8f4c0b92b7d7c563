//! As much of HTTP/2 as a bad server needs: frames by hand (RFC 9113), headers from HPACK's static
//! table (RFC 7541).

use crate::{
    pipe::{End, Pipe},
    wild::{Notes, Reply, say},
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// A frame. Stream 1 is the first request of a connection, 3 the second.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// `200 OK` with this Content-Length, `end` if nothing follows.
pub(crate) fn headers(stream: u32, length: usize) -> Vec<u8> {
    let length = length.to_string();
    let mut block = vec![0x88, 0x0f, 0x0d, u8::try_from(length.len()).unwrap()];
    block.extend_from_slice(length.as_bytes());
    frame(HEADERS, END_HEADERS, stream, &block)
}

/// A redirect (status in full, name from the static table) to `location`.
pub(crate) fn redirect(stream: u32, status: u16, location: &str) -> Vec<u8> {
    let status = status.to_string();
    let mut block = vec![0x08, 3];
    block.extend_from_slice(status.as_bytes());
    block.extend_from_slice(&[0x0f, 0x1f, u8::try_from(location.len()).unwrap()]);
    block.extend_from_slice(location.as_bytes());
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)
}

/// A header section that is begun and not ended.
pub(crate) fn open_headers(stream: u32) -> Vec<u8> {
    frame(HEADERS, 0, stream, &[0x88])
}

pub(crate) fn data(stream: u32, body: &[u8], last: bool) -> Vec<u8> {
    frame(DATA, u8::from(last) * END_STREAM, stream, body)
}

/// A whole answer.
pub(crate) fn answer(stream: u32, body: &[u8]) -> Vec<u8> {
    [headers(stream, body.len()), data(stream, body, true)].concat()
}

pub(crate) async fn serve(mut pipe: Pipe, notes: &Notes, script: &(dyn Fn(usize) -> Reply + Send + Sync)) {
    let mut unread = Vec::new();
    if pipe.write(&frame(SETTINGS, 0, 0, &[])).await.is_none() {
        return;
    }
    loop {
        while let Some((kind, flags)) = next(&mut unread) {
            if flags & ACK == 0 && matches!(kind, SETTINGS | PING) {
                let payload: &[u8] = if kind == PING { &[0; 8] } else { &[] };
                if pipe.write(&frame(kind, ACK, 0, payload)).await.is_none() {
                    return;
                }
            }
            if flags & END_STREAM == 0 || !matches!(kind, DATA | HEADERS) {
                continue;
            }
            let reply = script(notes.asked());
            for part in reply.parts {
                if say(&mut pipe, part).await.is_none() {
                    return;
                }
            }
            if reply.end != End::Kept {
                return pipe.end(reply.end).await;
            }
        }
        let Some(bytes) = pipe.read().await else { return };
        notes.hear(&bytes);
        unread.extend_from_slice(&bytes);
    }
}

/// Kind and flags of the next whole frame.
fn next(unread: &mut Vec<u8>) -> Option<(u8, u8)> {
    if unread.starts_with(PREFACE) {
        unread.drain(..PREFACE.len());
    }
    let length = u32::from_be_bytes([0, *unread.first()?, *unread.get(1)?, *unread.get(2)?]);
    let whole = 9 + usize::try_from(length).unwrap();
    if unread.len() < whole || unread.starts_with(b"PRI") {
        return None;
    }
    let found = (unread[3], unread[4]);
    unread.drain(..whole);
    Some(found)
}
