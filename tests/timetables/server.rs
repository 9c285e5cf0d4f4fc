//! A server of timetables: real sockets, and answers as a test wants them.

use crate::common::GUARD;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

/// What the server answers to one path.
#[derive(Clone)]
pub(crate) enum Answer {
    /// This document.
    Document(Vec<u8>),
    /// A document with these headers besides its length.
    With(Vec<(&'static str, String)>, Vec<u8>),
    /// A status, with these headers.
    Status(u16, Vec<(&'static str, String)>),
    /// A whole head, and less of the document than it promises.
    CutShort(Vec<u8>),
    /// Nothing, for as long as the test lasts.
    Silence,
}

impl Answer {
    pub(crate) fn file(name: &str) -> Answer {
        Answer::Document(data(name))
    }

    pub(crate) fn redirect(to: &str) -> Answer {
        Answer::Status(302, vec![("Location", to.to_owned())])
    }
}

/// A recorded payload.
pub(crate) fn data(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/timetables").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// With the query.
    pub(crate) target: String,
    /// By their names in lower case.
    pub(crate) headers: HashMap<String, String>,
}

/// A server on a port of its own, until the test ends.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    heard: Mutex<mpsc::Receiver<()>>,
}

struct Shared {
    /// By their targets; those with a query before those without.
    answers: Mutex<HashMap<String, Answer>>,
    asked: Mutex<Vec<Asked>>,
    told: Mutex<mpsc::Sender<()>>,
}

impl Server {
    pub(crate) fn new(answers: &[(&str, Answer)]) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answers = answers.iter().map(|(target, answer)| ((*target).to_owned(), answer.clone())).collect();
        let (told, heard) = mpsc::channel();
        let shared = Arc::new(Shared {
            answers: Mutex::new(answers),
            asked: Mutex::default(),
            told: Mutex::new(told),
        });
        let serving = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), shared) = (stream, serving.clone()) else { return };
                std::thread::spawn(move || drop(serve(&stream, &shared)));
            }
        });
        Server { address, shared, heard: Mutex::new(heard) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// From now on it answers otherwise.
    pub(crate) fn answer(&self, target: &str, answer: Answer) {
        self.shared.answers.lock().unwrap().insert(target.to_owned(), answer);
    }

    /// All that was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// The targets that were asked so far.
    pub(crate) fn targets(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.target).collect()
    }

    /// Waits until it has been asked once more than when this was called last.
    pub(crate) fn wait(&self) {
        self.heard.lock().unwrap().recv_timeout(GUARD).expect("nobody asks");
    }
}

fn serve(stream: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        let target = first.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        let path = target.split('?').next().unwrap_or_default().to_owned();
        let answer = {
            let answers = shared.answers.lock().unwrap();
            answers.get(&target).or_else(|| answers.get(&path)).cloned()
        };
        shared.asked.lock().unwrap().push(Asked { target, headers });
        let _ = shared.told.lock().unwrap().send(());
        let mut stream = stream;
        match answer.unwrap_or(Answer::Status(404, Vec::new())) {
            Answer::Document(document) => reply(stream, 200, &[], &document)?,
            Answer::With(headers, document) => reply(stream, 200, &headers, &document)?,
            Answer::Status(status, headers) => reply(stream, status, &headers, b"")?,
            Answer::CutShort(document) => {
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", document.len() + 1)?;
                stream.write_all(&document)?;
                return Ok(());
            }
            Answer::Silence => {
                // Until the client leaves.
                let _ = reader.read(&mut [0]);
                return Ok(());
            }
        }
    }
}

fn reply(
    mut stream: &TcpStream,
    status: u16,
    headers: &[(&str, String)],
    body: &[u8],
) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} Whatever\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    stream.write_all(body)
}

/// A document, compressed as servers send it.
pub(crate) fn gzipped(document: &[u8]) -> Answer {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(document).unwrap();
    Answer::With(vec![("Content-Encoding", "gzip".to_owned())], encoder.finish().unwrap())
}
