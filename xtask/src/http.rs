//! The one HTTP request a supervisor needs: GET on loopback, its status or its text.
//! Never used for anything that matters to the product. Called by stack while it waits.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// The status of `GET path` on a local port, or nothing if nobody answers in HTTP within 2 s.
pub(crate) fn status(port: u16, path: &str) -> Option<u16> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let limit = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&address, limit).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    stream.set_write_timeout(Some(limit)).ok()?;
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut head = [0_u8; 64];
    let mut filled = 0;
    // "HTTP/1.1 200" is all that is wanted
    while filled < 12 {
        match stream.read(head.get_mut(filled..)?) {
            Ok(0) | Err(_) => return None,
            Ok(read) => filled += read,
        }
    }
    let text = std::str::from_utf8(head.get(..filled)?).ok()?;
    text.split_whitespace().nth(1)?.parse().ok()
}

/// The body of `GET path` on a local port, if it is answered 200 within 2 s.
pub(crate) fn body(port: u16, path: &str) -> Option<String> {
    let (status, body) = answer(port, path)?;
    (status == 200).then_some(body)
}

/// Status and body of `GET path` on a local port, if it is answered within 2 s.
pub(crate) fn answer(port: u16, path: &str) -> Option<(u16, String)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let limit = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&address, limit).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    stream.set_write_timeout(Some(limit)).ok()?;
    // 1.0: the answer ends with the connection and comes in one piece
    let request = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn the_status_is_read_and_silence_is_nothing() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0_u8; 256];
            let _ = stream.read(&mut request).unwrap();
            stream
                .write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")
                .unwrap();
        });
        assert_eq!(status(port, "/health/ready"), Some(503));
        server.join().unwrap();
        assert_eq!(status(port, "/health/ready"), None);
    }

    #[test]
    fn a_text_is_read_to_its_end() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0_u8; 256];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nup 1\n").unwrap();
        });
        assert_eq!(body(port, "/metrics").as_deref(), Some("up 1\n"));
        server.join().unwrap();
        assert_eq!(body(port, "/metrics"), None);
    }
}
