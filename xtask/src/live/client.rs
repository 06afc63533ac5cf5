//! The smallest HTTP/1.1 client that can be refused: one kept connection on loopback, headers of its
//! own, the whole answer. Never used for speed. Called by the rows about limits and headers.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, ensure};

/// Longest wait for an answer: nginx gives up on a backend before.
const LIMIT: Duration = Duration::from_secs(20);
/// Largest answer that is taken, bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// A connection that is kept while the server keeps it.
pub(super) struct Client {
    port: u16,
    /// The address the requests say they came from.
    from: String,
    stream: Option<TcpStream>,
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// Status.
    pub(super) status: u16,
    head: String,
    /// Body.
    pub(super) body: String,
}

impl Answer {
    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Client {
    /// Nothing sent yet.
    pub(super) fn new(port: u16, from: &str) -> Self {
        Self {
            port,
            from: from.to_owned(),
            stream: None,
        }
    }

    /// A request without a body.
    pub(super) fn get(&mut self, path: &str) -> anyhow::Result<Answer> {
        self.ask("GET", path, "", None)
    }

    /// The same with a credential.
    pub(super) fn get_as(&mut self, path: &str, bearer: &str) -> anyhow::Result<Answer> {
        self.ask(
            "GET",
            path,
            &format!("Authorization: Bearer {bearer}\r\n"),
            None,
        )
    }

    /// A form or a document.
    pub(super) fn post(&mut self, path: &str, kind: &str, body: &str) -> anyhow::Result<Answer> {
        self.ask("POST", path, "", Some((kind, body)))
    }

    fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: Option<(&str, &str)>,
    ) -> anyhow::Result<Answer> {
        let (kind, body) = match body {
            Some((kind, body)) => (format!("Content-Type: {kind}\r\n"), body),
            None => (String::new(), ""),
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: {}\r\n{headers}{kind}Content-Length: {}\r\n\r\n{body}",
            self.from,
            body.len()
        );
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(self.port)?,
        };
        stream.write_all(request.as_bytes())?;
        let answer = read(&mut stream)?;
        let closes = answer
            .header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"));
        if !closes {
            self.stream = Some(stream);
        }
        Ok(answer)
    }
}

fn connect(port: u16) -> anyhow::Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, LIMIT)
        .with_context(|| format!("nobody listens on port {port}"))?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn read(stream: &mut impl Read) -> anyhow::Result<Answer> {
    let mut bytes = Vec::new();
    let mut chunk = [0_u8; 4096];
    loop {
        if let Some(answer) = parse(&bytes)? {
            return Ok(answer);
        }
        let read = stream.read(&mut chunk).context("no answer")?;
        ensure!(
            read > 0,
            "the connection was closed in the middle of an answer"
        );
        bytes.extend_from_slice(chunk.get(..read).unwrap_or_default());
        ensure!(bytes.len() <= ANSWER_BYTES_MAX, "the answer is too large");
    }
}

/// The answer, once it is whole.
fn parse(bytes: &[u8]) -> anyhow::Result<Option<Answer>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let (head, rest) = bytes.split_at(end);
    let body = rest.get(4..).unwrap_or_default();
    let head = String::from_utf8(head.to_vec()).context("the answer's head is not text")?;
    let status = head
        .split_whitespace()
        .nth(1)
        .and_then(|word| word.parse().ok())
        .context("the answer has no status")?;
    let mut answer = Answer {
        status,
        head,
        body: String::new(),
    };
    let length: usize = answer
        .header("content-length")
        .context("the answer has no Content-Length")?
        .parse()?;
    let Some(body) = body.get(..length) else {
        return Ok(None);
    };
    answer.body = String::from_utf8_lossy(body).into_owned();
    Ok(Some(answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_once_it_is_whole() {
        let text = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\nX-Frame-Options: DENY\r\n\r\nno";
        assert!(parse(text.get(..40).unwrap()).unwrap().is_none());
        assert!(
            parse(text.get(..text.len() - 1).unwrap())
                .unwrap()
                .is_none()
        );
        let answer = parse(text).unwrap().unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (429, "no"));
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        assert!(parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
