//! The cheapest HTTP/1.1 client that is still one: one keep-alive connection, one request at a
//! time, answers with a Content-Length only. It must cost less than any server it measures.

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Largest answer that is taken.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// A connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer; the body borrows the connection's buffer.
pub struct Answer<'a> {
    pub status: u16,
    pub body: &'a [u8],
    /// Whether the server said that it closes the connection after this.
    pub closes: bool,
}

impl Connection {
    pub async fn open(port: u16) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))
            .await
            .with_context(|| format!("nobody listens on port {port}"))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(8 * 1024),
        })
    }

    /// Sends a whole request and waits for the whole answer.
    pub async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Answer<'_>> {
        self.buffer.clear();
        self.stream.write_all(request).await?;
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await?;
            ensure!(read > 0, "the server closed the connection");
            if let Some(head) = parse(&self.buffer)? {
                let end = head.body_from + head.body_bytes;
                if self.buffer.len() >= end {
                    return Ok(Answer {
                        status: head.status,
                        body: &self.buffer[head.body_from..end],
                        closes: head.closes,
                    });
                }
            }
            ensure!(
                self.buffer.len() < ANSWER_BYTES_MAX,
                "the answer is too large"
            );
        }
    }

    /// Whether not a byte of an answer came since the last request was begun.
    pub fn heard_nothing(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Resolves when the server closes a connection on which nothing is asked.
    pub async fn hung_up(&self) {
        // a server has nothing to say unasked: an end, an error and a stray byte are all the same here
        let _ = self.stream.peek(&mut [0]).await;
    }
}

struct Head {
    status: u16,
    body_from: usize,
    body_bytes: usize,
    closes: bool,
}

/// The head, once it is whole.
fn parse(bytes: &[u8]) -> anyhow::Result<Option<Head>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..end]).context("the answer's head is not text")?;
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|word| word.parse().ok())
        .context("the answer has no status")?;
    let (mut length, mut closes) = (None, false);
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.trim().parse()?);
        } else if name.eq_ignore_ascii_case("connection") {
            closes = value.trim().eq_ignore_ascii_case("close");
        }
    }
    match length {
        Some(body_bytes) => Ok(Some(Head {
            status,
            body_from: end + 4,
            body_bytes,
            closes,
        })),
        None => bail!("the answer has no Content-Length"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_once_its_head_is_whole() {
        assert!(parse(b"HTTP/1.1 200 OK\r\ncontent-le").unwrap().is_none());
        let head = parse(b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhe")
            .unwrap()
            .unwrap();
        assert_eq!((head.status, head.body_bytes), (404, 5));
        assert!(!head.closes);
        let last = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        assert!(parse(last).unwrap().unwrap().closes);
        assert!(parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }
}
