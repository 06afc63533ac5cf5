//! The door of the port answers as the router does, and lets nobody wait when the process stops.
//! Never leaves this machine. Run with the crate's tests.

use axum::body::Body;
use axum::http::{Method, Request};
use backend::door::Door;
use http_body_util::BodyExt as _;
use runtime::lifecycle::Lifecycle;
use sqlx::PgPool;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::house::{House, TOKEN};

const DIAL: &str = "sessionId=S1&phoneNumber=%2B254712000001&text=";

#[sqlx::test(migrations = "../migrations")]
async fn the_door_and_the_router_answer_alike(pool: PgPool) {
    let house = House::new(pool);
    let door = Door::new(house.app.clone());
    let known = format!("/api/ussd/{TOKEN}");
    let longer = format!("{known}/");
    for (method, path, body) in [
        (Method::POST, known.as_str(), DIAL),
        (Method::POST, &known, "a=b"),
        (
            Method::POST,
            &known,
            "sessionId=S1&sessionId=S2&phoneNumber=0712000001",
        ),
        (Method::POST, "/api/ussd/someone-else", DIAL),
        (Method::POST, "/api/ussd/%61", DIAL),
        (Method::POST, "/api/ussd", DIAL),
        (Method::POST, "/api/ussd/", DIAL),
        (Method::POST, &longer, DIAL),
        (Method::POST, "/api/ussdx", DIAL),
        (Method::GET, &known, ""),
        (Method::GET, "/api/version", ""),
        (Method::GET, "/api/nothing", ""),
    ] {
        let request = || {
            let request = Request::builder().method(method.clone()).uri(path);
            let request = request.header("x-request-id", "mine-1");
            request.body(Body::from(body)).unwrap()
        };
        let routed = house.send(request()).await;
        let (head, body) = door.answer(request()).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        assert_eq!(
            (head.status, &body),
            (routed.status, &routed.body),
            "{method} {path}"
        );
        for name in ["content-type", "x-request-id"] {
            assert_eq!(head.headers.get(name), routed.headers.get(name), "{path}");
        }
    }
    let metrics = house.app.metrics.render();
    let counted = |status| {
        let labels = format!(r#"method="POST",path="/api/ussd/{{token}}",status="{status}""#);
        let line = metrics
            .lines()
            .find(|line| line.starts_with("http_requests_total") && line.contains(&labels));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u32>().ok())
    };
    // three good paths and two bad ones, by either way
    assert_eq!((counted(200), counted(404)), (Some(6), Some(4)));
}

#[sqlx::test(migrations = "../migrations")]
async fn who_is_connected_is_answered_and_then_let_go_when_the_process_stops(pool: PgPool) {
    let house = House::new(pool);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (life, door) = (Lifecycle::new(), Door::new(house.app.clone()));
    let serving = door.serve(listener, &life);
    let calling = async {
        let mut idle = TcpStream::connect(address).await.unwrap();
        let mut busy = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST /api/ussd/{TOKEN} HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n",
            DIAL.len()
        );
        busy.write_all(head.as_bytes()).await.unwrap();
        // the first answer of the other one shows that both were taken
        let version = b"GET /api/version HTTP/1.1\r\nhost: a\r\n\r\n";
        idle.write_all(version).await.unwrap();
        let mut first = [0; 12];
        idle.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        life.stop();
        busy.write_all(DIAL.as_bytes()).await.unwrap();
        let (mut answer, mut rest) = (String::new(), String::new());
        busy.read_to_string(&mut answer).await.unwrap();
        idle.read_to_string(&mut rest).await.unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains("CON "),
            "{answer}"
        );
        assert!(TcpStream::connect(address).await.is_err());
    };
    let (served, ()) = tokio::join!(serving, calling);
    served.unwrap();
}
