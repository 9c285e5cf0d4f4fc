//! The original daemon as the master of ours, and its slaves as the clients of ours: stand-ins written from
//! the protocol's pages, that share no code with the client under test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Daemon, GUARD, entry};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + GUARD;
    while !is_so() {
        assert!(Instant::now() < end, "it never came to be that {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A request's body and whether it had a Content-Type, or what is no request.
fn read_body(stream: &TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line).ok()? > 0 && line.trim() != "" {
        let (name, value) = line.split_once(':').unwrap_or(("", ""));
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    String::from_utf8(body).ok()
}

// ------------------------------------------------------------------------------------------------------ old master

/// The original: a reply has one answer, the rest wait for the next requests; a request for the tagMap ends the
/// connection; HTTP/1.0, and never two requests on a connection.
#[derive(Clone)]
struct OldMaster {
    addr: SocketAddr,
    shared: Arc<(Mutex<Old>, Condvar)>,
}

#[derive(Default)]
struct Old {
    states: BTreeMap<String, String>,
    version: u64,
    /// What waits for each channel.
    channels: BTreeMap<String, VecDeque<Value>>,
    asked_for_tag_map: bool,
}

impl OldMaster {
    fn start() -> OldMaster {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let master = OldMaster { addr: listener.local_addr().unwrap(), shared: Arc::default() };
        let within = master.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let within = within.clone();
                thread::spawn(move || within.serve(stream));
            }
        });
        master
    }

    fn set(&self, pc: &str, state: &str) {
        let (old, told) = &*self.shared;
        let mut old = old.lock().unwrap();
        old.version += 1;
        old.states.insert(pc.into(), state.into());
        let update = json!({"type": "occupation_update", "version": old.version, "update": {pc: state}});
        old.channels.values_mut().for_each(|waiting| waiting.push_back(update.clone()));
        told.notify_all();
    }

    /// It restarts: no channel is known any more.
    fn forget(&self) {
        let (old, told) = &*self.shared;
        old.lock().unwrap().channels.clear();
        told.notify_all();
    }

    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let request: Vec<Value> = serde_json::from_str(&read_body(&stream)?).ok()?;
        let token = request.first().and_then(Value::as_str).unwrap_or("OldToken").to_owned();
        let (old, told) = &*self.shared;
        let mut guard = old.lock().unwrap();
        let old = &mut *guard;
        let mut answers = VecDeque::new();
        let is_new = !old.channels.contains_key(&token);
        for message in request.iter().skip(1) {
            let version = old.version;
            match message["type"].as_str().unwrap() {
                "get_occupation" => answers
                    .push_back(json!({"type": "occupation", "version": version, "occupation": old.states})),
                "get_roomMap" => {
                    let pcs: Vec<&String> = old.states.keys().collect();
                    let rooms = json!({"hg075": ["HG00.075", pcs], "empty": ["Empty", []]});
                    answers.push_back(json!({"type": "roomMap", "version": version, "roomMap": rooms}));
                }
                "get_schedule" => {
                    let schedule = json!({"hg075": [[[9, 0], [10, 45], "Algebra"]]});
                    answers.push_back(json!({"type": "schedule", "version": 1, "schedule": schedule}));
                }
                "get_tagMap" => {
                    old.asked_for_tag_map = true;
                    return None;
                }
                _ => {}
            }
        }
        old.channels.entry(token.clone()).or_default().extend(answers);
        let messages = if is_new {
            vec![
                json!({"type": "welcome", "protocols": [1]}),
                json!({"type": "tags", "version": 0, "tags": ["hg"]}),
            ]
        } else {
            let empty = |old: &mut Old| old.channels.get(&token).is_some_and(VecDeque::is_empty);
            let hold = Duration::from_millis(500);
            (guard, _) = told.wait_timeout_while(guard, hold, |old| empty(old)).unwrap();
            guard.channels.get_mut(&token).and_then(VecDeque::pop_front).into_iter().collect()
        };
        drop(guard);
        let body = json!([token, messages, []]).to_string();
        let head =
            "HTTP/1.0 200 OK\r\nServer: BaseHTTP/0.3 Python/2.7.18\r\nContent-Type: application/json\r\n\r\n";
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(body.as_bytes()).ok()
    }
}

#[test]
fn the_original_is_followed_as_any_master() {
    let master = OldMaster::start();
    master.set("hg075pc01", "wf");
    // The original lets states through that are none.
    master.set("hg075pc02", "wo");
    let setup = format!("[mirror]\nmaster = \"http://{}\"\nretry = \"20ms\"\n", master.addr);
    let mirror = Daemon::with_setup(&setup, &[]);
    until("the mirror has the snapshot", || mirror.whole().occupation.len() == 1);
    for (i, state) in ["lu", "wx", "o"].into_iter().enumerate() {
        master.set("hg075pc01", state);
        master.set(&format!("hg075pc1{i}"), "lf");
    }
    until("the mirror has the updates", || {
        let states = mirror.whole().occupation;
        states.len() == 4 && states["hg075pc01"] == "o"
    });
    until("the rooms are those of the master", || {
        let rooms = mirror.whole().room_map;
        rooms.contains_key("empty")
            && rooms.get("hg075").is_some_and(|(name, pcs)| name == "HG00.075" && pcs.len() == 4)
    });

    master.forget();
    master.set("hg075pc01", "wu");
    until("the mirror has asked anew", || mirror.whole().occupation["hg075pc01"] == "wu");
    assert!(!master.shared.0.lock().unwrap().asked_for_tag_map, "that would have broken the original");
}

/// Answers one request after the other with these bodies, and from then on nothing; tells what was asked.
fn scripted(bodies: Vec<String>) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&asked);
    thread::spawn(move || {
        let mut kept = Vec::new();
        let mut bodies = VecDeque::from(bodies);
        for mut stream in listener.incoming().flatten() {
            let Some(request) = read_body(&stream) else { continue };
            told.lock().unwrap().push(request);
            let Some(body) = bodies.pop_front() else {
                kept.push(stream);
                continue;
            };
            let head = "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n";
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    (addr, asked)
}

#[test]
fn m2_garbage_of_a_master_clears_nothing_and_restarts_the_link() {
    let says = |messages: &str| format!(r#"["t",[{messages}],[]]"#);
    let bodies = vec![
        says(
            r#"{"type":"occupation","version":1,"occupation":{"hg075pc01":"lf","no pc":"lf","hg075pc02":"zz"}}"#,
        ),
        says(
            r#"{"type":"occupation_update","version":2,"update":[]},{"type":"occupation_update","version":2,"update":{"hg075pc03":"o"}}"#,
        ),
        "<html>".into(),
        " ".repeat((8 << 20) + 1),
        says(
            r#"{"type":"occupation","version":3,"occupation":{}},{"type":"roomMap","version":3,"roomMap":{}}"#,
        ),
    ];
    let (addr, asked) = scripted(bodies);
    let mirror =
        Daemon::with_setup(&format!("[mirror]\nmaster = \"http://{addr}\"\nretry = \"20ms\"\n"), &[]);
    until("all of it was said", || asked.lock().unwrap().len() == 6);
    let states: Vec<String> =
        mirror.whole().occupation.into_iter().map(|(pc, state)| pc + " " + &state).collect();
    assert_eq!(states, ["hg075pc01 lf", "hg075pc03 o"]);
    let asks: Vec<bool> = asked.lock().unwrap().iter().map(|body| body.contains("get_occupation")).collect();
    assert_eq!(asks, [true, false, true, true, true, false]);
    assert!(mirror.log().contains("without some of it"), "{}", mirror.log());
}

// ------------------------------------------------------------------------------------------------------- old slave

/// The original's slave: a token of its own, two requests at a time, a retry a second after a failure, and the
/// messages of a reply applied newest first.
struct OldSlave {
    states: Arc<Mutex<BTreeMap<String, String>>>,
}

impl OldSlave {
    fn start(master: SocketAddr, token: &'static str) -> OldSlave {
        let states = Arc::new(Mutex::new(BTreeMap::new()));
        let ask = Arc::new(Mutex::new(true));
        for _ in 0..2 {
            let (states, ask) = (Arc::clone(&states), Arc::clone(&ask));
            // They end with the process of the test.
            thread::spawn(move || {
                loop {
                    let asks = std::mem::take(&mut *ask.lock().unwrap());
                    if Self::request(master, token, asks, &states, &ask).is_none() {
                        thread::sleep(Duration::from_secs(1));
                    }
                }
            });
        }
        OldSlave { states }
    }

    fn request(
        master: SocketAddr,
        token: &str,
        asks: bool,
        states: &Mutex<BTreeMap<String, String>>,
        ask: &Mutex<bool>,
    ) -> Option<()> {
        let mut request = vec![json!(token)];
        if asks {
            request.push(json!({"type": "set_msgFilter", "occupation": null}));
            request.push(json!({"type": "get_occupation"}));
        }
        let body = Value::from(request).to_string();
        let mut stream = TcpStream::connect(master).ok()?;
        let head = format!("POST / HTTP/1.0\r\nHost: {master}\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all((head + &body).as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        // It ignores the status, and is lost at any body but a list of three.
        let (_, body) = answer.split_once("\r\n\r\n")?;
        let reply: Value = serde_json::from_str(body).unwrap();
        let [_, messages, _] = reply.as_array().unwrap().as_slice() else { panic!("{reply}") };
        let mut known = states.lock().unwrap();
        for message in messages.as_array().unwrap().iter().rev() {
            let of = |key: &str| -> BTreeMap<String, String> {
                serde_json::from_value(message[key].clone()).unwrap()
            };
            match message["type"].as_str().unwrap() {
                "welcome" if !asks => *ask.lock().unwrap() = true,
                "occupation" => *known = of("occupation"),
                "occupation_update" => known.extend(of("update")),
                _ => {}
            }
        }
        Some(())
    }
}

#[test]
fn f2_an_old_slave_follows_a_mirror_and_ends_with_its_states() {
    let master = Daemon::start(&[]);
    let mirror = Daemon::with_setup(&format!("[mirror]\nmaster = \"http://{}\"\n", master.joyce()), &[]);
    let slave = OldSlave::start(mirror.joyce(), "LbF+31V/");
    let states = ["wf", "lu", "o", "x", "wx"];
    for round in 0..200 {
        let pc = format!("hg075pc{:02}", round % 7);
        master.push(
            "test",
            &json!({pc: entry(states[round % 5]), "hg029pc01": entry(states[(round + 1) % 5])}),
        );
    }
    let last = master.whole().occupation;
    assert_eq!(last.len(), 8);
    until("the slave has what the master has", || *slave.states.lock().unwrap() == last);
    master.set("hg075pc00", "lf");
    until("the slave hears on", || slave.states.lock().unwrap()["hg075pc00"] == "lf");
}
