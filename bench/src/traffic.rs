//! What the generator sends: farmers walking to a quote, or one request over and over with a
//! number in it. Never sends a session's next hop before its last was answered and compared.
//! Used by `load`.

use std::collections::VecDeque;
use std::fmt::Write as _;

use clap::{Args, Subcommand};

use crate::callbacks::B2C_RESULT;
use crate::walk::{WALK, phone};

/// Kinds of traffic.
#[derive(Subcommand, Clone)]
pub enum Traffic {
    /// Farmers who dial and walk to a quote
    Ussd(UssdOptions),
    /// One request over and over
    Requests(RequestOptions),
}

#[derive(Args, Clone)]
pub struct UssdOptions {
    /// Where hops are posted
    #[arg(long)]
    path: String,
    /// Sessions open at any time
    #[arg(long)]
    sessions: u32,
    /// Seeded farmers; each dials at most once
    #[arg(long)]
    farmers: u32,
    /// Farmers passed over, because they have dialled before
    #[arg(long, default_value_t = 0)]
    skip: u32,
}

#[derive(Args, Clone)]
pub struct RequestOptions {
    #[arg(long, default_value = "POST")]
    method: String,
    /// `{n}` is a new number of ten digits in every request (`{n8}` its last eight), `{id}` the next
    /// line of the ids (`{id32}` without dashes)
    #[arg(long)]
    path: String,
    /// `name: value`, with the same marks
    #[arg(long = "header")]
    headers: Vec<String>,
    /// The body, or `b2c-result` for one of M-Pesa's; none for GET
    #[arg(long)]
    body: Option<String>,
    /// A file with one id a line
    #[arg(long)]
    ids: Option<std::path::PathBuf>,
    /// First number
    #[arg(long, default_value_t = 1)]
    first: u64,
    #[arg(long, default_value_t = 200)]
    status: u16,
}

/// Where the next request comes from.
pub enum Source {
    Ussd(Walks),
    Requests(Numbered),
}

/// A request under way.
pub enum Job {
    Hop(Session),
    Request,
}

/// What an answer was worth.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Right,
    Busy,
    Wrong,
}

impl Source {
    pub fn new(traffic: &Traffic) -> anyhow::Result<Self> {
        Ok(match traffic {
            Traffic::Ussd(options) => Self::Ussd(Walks::new(options.clone())),
            Traffic::Requests(options) => Self::Requests(Numbered::new(options.clone())?),
        })
    }

    /// Writes the next request; `None` when there is nobody left to dial.
    pub fn next(&mut self, out: &mut Vec<u8>) -> Option<Job> {
        match self {
            Self::Ussd(walks) => {
                let session = walks.next()?;
                walks.write(&session, out);
                Some(Job::Hop(session))
            }
            Self::Requests(numbered) => {
                numbered.write(out);
                Some(Job::Request)
            }
        }
    }

    /// Judges an answer and, if it was right, lets its session go on.
    pub fn done(&mut self, job: Job, status: u16, body: &[u8]) -> Verdict {
        match (self, job) {
            (Self::Ussd(walks), Job::Hop(session)) => walks.done(session, status, body),
            (Self::Requests(numbered), _) if numbered.options.status == status => Verdict::Right,
            _ if status == 429 => Verdict::Busy,
            _ => Verdict::Wrong,
        }
    }

    /// Whether as many are under way as there shall be.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Ussd(walks) => walks.opened >= walks.options.sessions && walks.filling.is_empty(),
            Self::Requests(_) => true,
        }
    }
}

/// A conversation.
#[derive(Clone, Copy)]
pub struct Session {
    number: u32,
    hop: usize,
    /// Hops to walk at once before it joins the others, so that they are not all at the same hop.
    head_start: usize,
}

/// Farmers in conversation: a fixed number of open sessions, each waiting for its turn.
pub struct Walks {
    options: UssdOptions,
    waiting: VecDeque<Session>,
    filling: Vec<Session>,
    opened: u32,
    /// Makes session ids unique over runs.
    run: u32,
}

impl Walks {
    fn new(options: UssdOptions) -> Self {
        Self {
            waiting: VecDeque::new(),
            filling: Vec::new(),
            opened: 0,
            run: std::process::id(),
            options,
        }
    }

    fn open(&mut self) -> Option<Session> {
        if self.opened >= self.options.farmers {
            return None;
        }
        self.opened += 1;
        let filling = self.opened <= self.options.sessions;
        Some(Session {
            number: self.options.skip + self.opened,
            hop: 0,
            head_start: if filling {
                self.opened as usize % WALK.texts.len()
            } else {
                0
            },
        })
    }

    fn next(&mut self) -> Option<Session> {
        if let Some(session) = self.filling.pop() {
            return Some(session);
        }
        if self.opened < self.options.sessions {
            return self.open();
        }
        match self.waiting.pop_front() {
            Some(session) => Some(session),
            None => self.open(),
        }
    }

    fn write(&self, session: &Session, out: &mut Vec<u8>) {
        let body = format!(
            "sessionId=ATUid_{:08x}{:08}&serviceCode=%2A384%2A57%23&phoneNumber={}&networkCode=63902&text={}",
            self.run,
            session.number,
            phone(session.number).replace('+', "%2B"),
            WALK.texts[session.hop],
        );
        head(
            out,
            "POST",
            &self.options.path,
            "application/x-www-form-urlencoded",
            &[],
            body.len(),
        );
        out.extend_from_slice(body.as_bytes());
    }

    fn done(&mut self, mut session: Session, status: u16, body: &[u8]) -> Verdict {
        let expected = WALK.screen(&WALK.texts[session.hop], session.number);
        if status != 200 || Some(body) != expected.map(str::as_bytes) {
            let is_busy = body.starts_with(b"END Many people are dialling")
                || body.starts_with(b"END Watu wengi");
            return if is_busy {
                Verdict::Busy
            } else {
                Verdict::Wrong
            };
        }
        session.hop += 1;
        if session.hop >= WALK.texts.len() {
            // one ends, another dials
            if let Some(next) = self.open() {
                self.waiting.push_back(next);
            }
        } else if session.head_start > 0 {
            session.head_start -= 1;
            self.filling.push(session);
        } else {
            self.waiting.push_back(session);
        }
        Verdict::Right
    }
}

/// The same request with another number.
pub struct Numbered {
    options: RequestOptions,
    ids: Vec<String>,
    n: u64,
}

impl Numbered {
    fn new(mut options: RequestOptions) -> anyhow::Result<Self> {
        if options.body.as_deref() == Some("b2c-result") {
            options.body = Some(B2C_RESULT.to_owned());
        }
        let ids = match &options.ids {
            Some(file) => std::fs::read_to_string(file)?
                .lines()
                .map(str::to_owned)
                .collect(),
            None => Vec::new(),
        };
        Ok(Self {
            n: options.first,
            options,
            ids,
        })
    }

    fn write(&mut self, out: &mut Vec<u8>) {
        let n = format!("{:010}", self.n);
        let id = match self.ids.len() {
            0 => "",
            len => &self.ids[self.n as usize % len],
        };
        self.n += 1;
        let filled = |text: &str| {
            text.replace("{n}", &n)
                .replace("{n8}", &n[2..])
                .replace("{id}", id)
                .replace("{id32}", &id.replace('-', ""))
        };
        let headers: Vec<String> = self
            .options
            .headers
            .iter()
            .map(|line| filled(line))
            .collect();
        let body = self.options.body.as_deref().map(filled).unwrap_or_default();
        let path = filled(&self.options.path);
        head(
            out,
            &self.options.method,
            &path,
            "application/json",
            &headers,
            body.len(),
        );
        out.extend_from_slice(body.as_bytes());
    }
}

fn head(
    out: &mut Vec<u8>,
    method: &str,
    path: &str,
    content_type: &str,
    headers: &[String],
    bytes: usize,
) {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n");
    for line in headers {
        let _ = write!(head, "{line}\r\n");
    }
    if bytes > 0 {
        let _ = write!(
            head,
            "Content-Type: {content_type}\r\nContent-Length: {bytes}\r\n"
        );
    }
    head.push_str("\r\n");
    out.clear();
    out.extend_from_slice(head.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walks(sessions: u32, farmers: u32) -> Source {
        Source::new(&Traffic::Ussd(UssdOptions {
            path: "/u".to_owned(),
            sessions,
            farmers,
            skip: 0,
        }))
        .unwrap()
    }

    fn answer(source: &mut Source, out: &mut Vec<u8>) -> Option<(u32, usize)> {
        let job = source.next(out)?;
        let Job::Hop(session) = job else {
            panic!("not a hop")
        };
        let screen = WALK
            .screen(&WALK.texts[session.hop], session.number)
            .unwrap();
        assert!(source.done(Job::Hop(session), 200, screen.as_bytes()) == Verdict::Right);
        Some((session.number, session.hop))
    }

    #[test]
    fn every_farmer_walks_the_four_hops_in_order_and_dials_once() {
        let mut source = walks(8, 30);
        let mut out = Vec::new();
        let mut next = std::collections::HashMap::new();
        while let Some((number, hop)) = answer(&mut source, &mut out) {
            let expected = next.entry(number).or_insert(0);
            assert_eq!(hop, *expected);
            *expected += 1;
        }
        assert_eq!(next.len(), 30);
        assert!(next.values().all(|hops| *hops == 4));
    }

    #[test]
    fn another_farmers_screen_is_wrong_and_a_busy_one_is_busy() {
        let mut source = walks(1, 5);
        let mut out = Vec::new();
        let job = source.next(&mut out).unwrap();
        let other = WALK.screen("", 2).unwrap();
        assert!(source.done(job, 200, other.as_bytes()) == Verdict::Wrong);
        let job = source.next(&mut out).unwrap();
        let busy = b"END Many people are dialling now. Please dial again in a minute.";
        assert!(source.done(job, 200, busy) == Verdict::Busy);
    }

    #[test]
    fn a_request_carries_its_number_everywhere() {
        let mut source = Source::new(&Traffic::Requests(RequestOptions {
            method: "POST".to_owned(),
            path: "/x".to_owned(),
            headers: vec!["Idempotency-Key: k{n}".to_owned()],
            body: Some("b2c-result".to_owned()),
            ids: None,
            first: 41,
            status: 200,
        }))
        .unwrap();
        let mut out = Vec::new();
        for n in ["0000000041", "0000000042"] {
            assert!(source.next(&mut out).is_some());
            let text = String::from_utf8(out.clone()).unwrap();
            assert!(text.contains(&format!("Idempotency-Key: k{n}\r\n")));
            assert!(text.contains(&format!("\"AG_20260115_{n}\"")));
        }
    }
}
