//! A server that answers from a script, for what no twin does: truncated bodies, silence, answers
//! in shapes nobody documented. Used by the tests that need one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::money::Money;
use providers::mpesa::{B2cRequest, Client};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::world::{http, mpesa_config, phone};

pub(crate) struct Scripted {
    pub(crate) base_url: String,
    seen: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Scripted {
    /// Method and target of every request so far.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// Answers one request after the other with a status and a JSON body. Status 0 closes the
/// connection without an answer, 1 promises more bytes than it sends, 2 never answers.
pub(crate) async fn scripted(answers: Vec<(u16, &'static str)>) -> Scripted {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        for (status, body) in answers {
            let Ok((mut stream, _)) = listener.accept().await else {
                return;
            };
            let target = read_request(&mut stream).await;
            log.lock().unwrap().push(target);
            let length = if status == 1 {
                body.len() + 10
            } else {
                body.len()
            };
            let shown = if status == 1 { 200 } else { status };
            let head = format!(
                "HTTP/1.1 {shown} X\r\ncontent-type: application/json\r\n\
                 content-length: {length}\r\nconnection: close\r\n\r\n"
            );
            match status {
                0 => {}
                2 => std::future::pending().await,
                _ => {
                    stream.write_all(head.as_bytes()).await.unwrap();
                    stream.write_all(body.as_bytes()).await.unwrap();
                }
            }
        }
    });
    Scripted {
        base_url,
        seen,
        _tasks: tasks,
    }
}

/// Reads one whole request; its method and target.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4_096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .and_then(|(_, value)| value.parse::<usize>().ok())
                .unwrap_or(0);
            if body.len() >= length {
                let mut words = head.split(' ');
                let method = words.next().unwrap_or_default();
                let target = words.next().unwrap_or_default();
                return format!("{method} {target}");
            }
        }
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return text,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
        }
    }
}

const TOKEN: &str = r#"{"access_token":"t","expires_in":3599}"#;

/// The kind of error a payment ends with when the answer to it is this.
async fn payment_error(status: u16, body: &'static str) -> (&'static str, String) {
    let server = scripted(vec![(200, TOKEN), (status, body)]).await;
    let mut config = mpesa_config(&server.base_url);
    config.timeout = Duration::from_millis(300);
    let phone = phone();
    let leg = B2cRequest {
        originator_id: "MC1",
        phone: &phone,
        amount: Money::kes(100).unwrap(),
        remarks: "Crop payout",
        occasion: None,
    };
    let error = Client::new(http(), config)
        .send_b2c(&leg)
        .await
        .unwrap_err();
    assert_eq!(server.seen().len(), 2, "one token, one payment, no retry");
    (error.kind(), error.code().to_owned())
}

#[tokio::test]
async fn a_payment_without_a_whole_answer_is_always_doubt() {
    let doubt = |code: &str| ("in_doubt", code.to_owned());
    assert_eq!(
        payment_error(0, "").await,
        doubt("broken"),
        "closed without an answer"
    );
    assert_eq!(
        payment_error(1, r#"{"Resp"#).await,
        doubt("broken"),
        "cut in the middle"
    );
    assert_eq!(payment_error(2, "").await, doubt("timeout"), "silence");
    assert_eq!(payment_error(200, "<html>").await, doubt("undecodable"));
    assert_eq!(payment_error(503, "<html>").await, doubt("http_503"));
    assert_eq!(
        payment_error(302, "").await,
        doubt("http_302"),
        "not followed"
    );
}

#[tokio::test]
async fn a_code_never_seen_before_is_doubt() {
    let body = r#"{"requestId":"1","errorCode":"418.001","errorMessage":"surprise"}"#;
    assert_eq!(
        payment_error(400, body).await,
        ("in_doubt", "418.001".to_owned())
    );
}
