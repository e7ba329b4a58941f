//! An HTTP server that writes down what it is asked and answers what it is told.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// One request.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// On which connection it came, counted from 0.
    pub connection: usize,
}

impl Asked {
    /// The value of the header `name`.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The pairs of a form, sorted.
    pub fn form(&self) -> Vec<(String, String)> {
        pairs(&self.body)
    }

    /// The path without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }
}

fn pairs(encoded: &str) -> Vec<(String, String)> {
    let url = reqwest::Url::parse(&format!("x:?{encoded}")).unwrap();
    let mut pairs: Vec<_> = url
        .query_pairs()
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    pairs.sort();
    pairs
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer without headers of its own.
    pub fn new(status: u16, body: &str) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.as_bytes().to_vec(),
        }
    }

    /// With one header more.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// The server. Its threads end with the test.
pub struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// A server that answers always the same.
    pub fn answering(status: u16, body: &str) -> Self {
        let answer = Answer::new(status, body);
        Self::with(move |_| answer.clone())
    }

    /// A server that answers what `respond` makes of the request.
    pub fn with(respond: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (all, respond) = (Arc::clone(&asked), Arc::new(respond));
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (all, respond) = (Arc::clone(&all), Arc::clone(&respond));
                thread::spawn(move || serve(stream.unwrap(), connection, &all, respond.as_ref()));
            }
        });
        Self { address, asked }
    }

    /// Its URL.
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked up to now.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The only thing it was asked.
    pub fn asked_once(&self) -> Asked {
        let asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:#?}");
        asked[0].clone()
    }
}

fn serve(
    stream: TcpStream,
    connection: usize,
    all: &Mutex<Vec<Asked>>,
    respond: &(impl Fn(&Asked) -> Answer + ?Sized),
) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    while let Some(asked) = read(&mut reader, connection) {
        let answer = respond(&asked);
        all.lock().unwrap().push(asked.clone());
        let mut head = format!(
            "HTTP/1.1 {} X\r\ncontent-length: {}\r\n",
            answer.status,
            answer.body.len()
        );
        for (name, value) in &answer.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let body = if asked.method == "HEAD" {
            &[][..]
        } else {
            &answer.body
        };
        // The other side may have gone.
        if writer
            .write_all(head.as_bytes())
            .and_then(|()| writer.write_all(body))
            .is_err()
        {
            return;
        }
    }
}

/// The next request; `None` at the end of the connection.
pub fn read(reader: &mut impl BufRead, connection: usize) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let mut asked = Asked {
        method,
        target,
        headers,
        body: String::new(),
        connection,
    };
    let length = asked
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    asked.body = String::from_utf8(body).unwrap();
    Some(asked)
}
