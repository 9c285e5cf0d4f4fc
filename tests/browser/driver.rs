//! A browser of one's own: Chromium without a window, driven through chromedriver, with a profile that is thrown away.

use crate::common::GUARD;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Condvar, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};
use thirtyfour::prelude::*;
use thirtyfour::{Capabilities, ChromeCapabilities, WindowHandle};
use tokio::runtime::Runtime;

/// Browsers at once: each is busy with more than one processor while it starts.
const AT_ONCE: usize = 2;

static RUNNING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

/// How a browser is set up before it is started.
#[derive(Clone)]
pub(crate) struct Wanted {
    /// As people set it: the languages they read, best first.
    pub(crate) languages: &'static str,
    /// Whether pages may run scripts.
    pub(crate) scripts: bool,
    /// Its window.
    pub(crate) size: (u32, u32),
}

impl Default for Wanted {
    fn default() -> Wanted {
        Wanted { languages: "en", scripts: true, size: (1280, 800) }
    }
}

/// A browser, at one site; it ends with the test, also where that fails.
pub(crate) struct Browser {
    driver: Option<WebDriver>,
    runtime: Runtime,
    chromedriver: Child,
    profile: tempfile::TempDir,
    site: String,
    _place: Place,
}

/// One of the places for browsers, which is taken until this is dropped.
struct Place;

impl Place {
    fn wait() -> Place {
        let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut running =
            ENDED.wait_while(running, |running| *running >= AT_ONCE).unwrap_or_else(PoisonError::into_inner);
        *running += 1;
        Place
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ENDED.notify_one();
    }
}

impl Browser {
    /// One that is at this site (`http://127.0.0.1:8080`), and shows nothing yet.
    pub(crate) fn at(site: &str) -> Browser {
        Browser::with(site, &Wanted::default())
    }

    pub(crate) fn with(site: &str, wanted: &Wanted) -> Browser {
        let place = Place::wait();
        let profile = tempfile::Builder::new().prefix("tkbd-browser-").tempdir().unwrap();
        let (chromedriver, port) = start(profile.path());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut browser =
            Browser { driver: None, runtime, chromedriver, profile, site: site.to_owned(), _place: place };
        // It is asked for by the client, though nothing here is https.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let capabilities = capabilities(browser.profile.path(), wanted);
        let session = WebDriver::new(format!("http://127.0.0.1:{port}"), capabilities);
        let driver = browser.runtime.block_on(session).unwrap_or_else(|e| panic!("no browser starts: {e}"));
        browser.driver = Some(driver);
        browser
    }

    fn driver(&self) -> &WebDriver {
        self.driver.as_ref().unwrap()
    }

    /// What a command of the driver comes to.
    fn take<T>(&self, command: impl Future<Output = WebDriverResult<T>>) -> T {
        self.runtime.block_on(command).unwrap_or_else(|e| panic!("the browser: {e}"))
    }

    // ------------------------------------------------------------------------------------------------ where it is

    pub(crate) fn site(&self) -> &str {
        &self.site
    }

    /// Goes there, and waits until the page is loaded.
    pub(crate) fn go(&self, path: &str) {
        self.take(self.driver().goto(format!("{}{path}", self.site)));
    }

    pub(crate) fn reload(&self) {
        self.take(self.driver().refresh());
    }

    pub(crate) fn back(&self) {
        self.take(self.driver().back());
    }

    /// Path and query.
    pub(crate) fn path(&self) -> String {
        let url = self.take(self.driver().current_url());
        url.as_str().strip_prefix(&self.site).unwrap_or(url.as_str()).to_owned()
    }

    /// Another tab, which is then the one that is spoken to.
    pub(crate) fn open_tab(&self, path: &str) -> WindowHandle {
        let tab = self.take(self.driver().new_tab());
        self.take(self.driver().switch_to_window(tab.clone()));
        self.go(path);
        tab
    }

    pub(crate) fn tab(&self) -> WindowHandle {
        self.take(self.driver().window())
    }

    pub(crate) fn switch_to(&self, tab: &WindowHandle) {
        self.take(self.driver().switch_to_window(tab.clone()));
    }

    /// Closes the tab that is spoken to, and speaks to this one.
    pub(crate) fn close_tab_for(&self, other: &WindowHandle) {
        self.take(self.driver().close_window());
        self.switch_to(other);
    }

    // -------------------------------------------------------------------------------------------------- what it shows

    /// What this script (the body of a function of `arguments`) returns in the page.
    pub(crate) fn run(&self, script: &str, arguments: &[Value]) -> Value {
        self.try_run(script, arguments).unwrap_or_else(|e| panic!("{script}: {e}"))
    }

    fn try_run(&self, script: &str, arguments: &[Value]) -> WebDriverResult<Value> {
        let command = self.driver().execute(script, arguments.to_vec());
        self.runtime.block_on(command).map(|returned| returned.json().clone())
    }

    /// What this expression is in the page; a promise's value, where it is one.
    pub(crate) fn value(&self, expression: &str) -> Value {
        self.run(&format!("return ({expression});"), &[])
    }

    /// The same, as text.
    pub(crate) fn text(&self, expression: &str) -> String {
        let value = self.value(expression);
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    }

    /// The same, as yes or no; of a promise too, which by itself would always be a yes.
    pub(crate) fn is(&self, expression: &str) -> bool {
        self.value(&format!("Promise.resolve(({expression})).then(is => !!is)")) == Value::Bool(true)
    }

    /// Waits until this expression is true of the page, whatever pages come and go meanwhile; answers its value.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, expression: &str) -> Value {
        self.within(GUARD, what, expression)
    }

    /// The same, for what takes the page so long by itself.
    #[track_caller]
    pub(crate) fn within(&self, time: Duration, what: &str, expression: &str) -> Value {
        let end = Instant::now() + time;
        loop {
            let last = match self.try_run(&format!("return ({expression});"), &[]) {
                Ok(value) if is_true(&value) => return value,
                // Of a page that is just being left.
                Err(error) => format!("{error}"),
                Ok(value) => value.to_string(),
            };
            if Instant::now() > end {
                panic!("not seen: {what}\n  {expression} is {last}\n{}", self.described());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The page as far as it helps who reads of a failure.
    fn described(&self) -> String {
        let mut told = format!("at {}:\n", self.path());
        let text = self.try_run("return document.body ? document.body.innerText : '';", &[]);
        let text = text.map(|text| text.as_str().unwrap_or_default().to_owned()).unwrap_or_default();
        for line in text.lines().filter(|line| !line.trim().is_empty()).take(40) {
            writeln!(told, "  | {line}").unwrap();
        }
        for line in self.console() {
            writeln!(told, "  console: {line}").unwrap();
        }
        told
    }

    /// What the console has had to tell since this was last asked: errors of scripts, refusals by the CSP, what could
    /// not be loaded.
    pub(crate) fn console(&self) -> Vec<String> {
        let log = self.take(self.driver().get_log("browser"));
        log.into_iter().map(|entry| entry.message).collect()
    }

    /// Every address that was asked for since this was last asked, by pages and by what they load.
    pub(crate) fn requested(&self) -> Vec<String> {
        let log = self.take(self.driver().get_log("performance"));
        let events = log.iter().filter_map(|entry| serde_json::from_str::<Value>(&entry.message).ok());
        let requests = events.filter(|event| event["message"]["method"] == "Network.requestWillBeSent");
        requests.filter_map(|r| Some(r["message"]["params"]["request"]["url"].as_str()?.to_owned())).collect()
    }

    /// Waits until a stream of events has told one of this kind that holds this text, since this or [`Browser::requested`]
    /// was last asked.
    #[track_caller]
    pub(crate) fn until_told(&self, kind: &str, text: &str) {
        let end = Instant::now() + GUARD;
        loop {
            let log = self.take(self.driver().get_log("performance"));
            let events = log.iter().filter_map(|entry| serde_json::from_str::<Value>(&entry.message).ok());
            let mut messages =
                events.filter(|event| event["message"]["method"] == "Network.eventSourceMessageReceived");
            let is_it = |event: Value| {
                let told = &event["message"]["params"];
                told["eventName"] == kind && told["data"].as_str().is_some_and(|data| data.contains(text))
            };
            if messages.any(is_it) {
                return;
            }
            assert!(Instant::now() < end, "no event {kind} with {text:?}\n{}", self.described());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A command of the DevTools protocol, to the tab that is spoken to.
    pub(crate) fn devtools(&self, method: &str, parameters: &Value) -> Value {
        self.take(self.driver().cdp().send_raw(method, parameters))
    }

    /// A picture of what is to be seen, or of the whole of the page.
    pub(crate) fn picture(&self, whole: bool) -> Vec<u8> {
        let taken = self.devtools("Page.captureScreenshot", &json!({"captureBeyondViewport": whole}));
        base64(taken["data"].as_str().unwrap())
    }

    // ----------------------------------------------------------------------------------------------- what is done to it

    /// Clicks, as a mouse does: on what is there to be clicked.
    pub(crate) fn click(&self, selector: &str) {
        let found = self.take(self.driver().find(By::Css(selector)));
        self.take(found.click());
    }

    /// Types into a field, in the place of what is there.
    pub(crate) fn write(&self, selector: &str, text: &str) {
        let found = self.take(self.driver().find(By::Css(selector)));
        self.take(found.clear());
        self.take(found.send_keys(text));
    }

    /// A key, to whatever has the focus.
    pub(crate) fn press(&self, key: Key) {
        self.take(self.driver().action_chain().send_keys(key).perform());
    }

    /// A key while Shift is held.
    pub(crate) fn press_with_shift(&self, key: Key) {
        let keys = self.driver().action_chain().key_down(Key::Shift).send_keys(key).key_up(Key::Shift);
        self.take(keys.perform());
    }

    /// The screen: a phone's, a wall's.
    pub(crate) fn screen(&self, width: u32, height: u32, scale: f64, mobile: bool) {
        let screen = json!({"width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile});
        self.devtools("Emulation.setDeviceMetricsOverride", &screen);
    }

    /// What the system tells of its user (`prefers-color-scheme`: `dark`), and the medium, where it is no screen.
    pub(crate) fn media(&self, medium: &str, features: &[(&str, &str)]) {
        let features: Vec<Value> =
            features.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        self.devtools("Emulation.setEmulatedMedia", &json!({"media": medium, "features": features}));
    }

    /// Whether the system says that there is a network.
    pub(crate) fn say_offline(&self, offline: bool) {
        let network =
            json!({"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1});
        self.devtools("Network.emulateNetworkConditions", &network);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(driver) = self.driver.take() {
            let quit = async { tokio::time::timeout(GUARD, driver.quit()).await };
            if self.runtime.block_on(quit).is_err() {
                eprintln!("the browser did not end in time, and is ended");
            }
        }
        // Its end follows (see `start`).
        drop(self.chromedriver.stdin.take());
        let _ = self.chromedriver.wait();
        // Whatever is left of it: all of its processes name its profile.
        end_all_that_name(self.profile.path());
    }
}

fn is_true(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false)) && value != "" && value != 0
}

/// chromedriver, and the port that it has chosen.
fn start(profile: &Path) -> (Child, u16) {
    let program = std::env::var_os("TKBD_CHROMEDRIVER").unwrap_or_else(|| "chromedriver".into());
    // Also when this process is killed, its pipe is closed: then the driver is ended, and with it the browser, whose
    // own pipe it holds.
    let keep = "\"$0\" --port=0 & driver=$!; cat >/dev/null; kill \"$driver\"";
    let mut child = Command::new("sh")
        .args(["-c", keep])
        .arg(&program)
        // What a browser keeps for its user is kept where it is thrown away.
        .env("HOME", profile)
        .env("XDG_CONFIG_HOME", profile)
        .env("XDG_CACHE_HOME", profile)
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    let (found, port) = mpsc::channel();
    // It is read to its end, so that what speaks never waits for a reader.
    std::thread::spawn(move || {
        for line in said.lines().map_while(Result::ok) {
            let port = line.split_once("started successfully on port ");
            if let Some(Ok(port)) = port.map(|(_, port)| port.trim_end_matches('.').parse()) {
                let _ = found.send(port);
            }
        }
    });
    let Ok(port) = port.recv_timeout(GUARD) else {
        drop(child.stdin.take());
        let _ = child.wait();
        panic!("{} does not say where it listens; .ci/run browser installs it", program.display());
    };
    (child, port)
}

fn capabilities(profile: &Path, wanted: &Wanted) -> Capabilities {
    let mut capabilities = ChromeCapabilities::new();
    let mut arguments = vec![
        "--headless=new".to_owned(),
        "--remote-debugging-pipe".to_owned(),
        format!("--user-data-dir={}", profile.join("profile").display()),
        format!("--window-size={},{}", wanted.size.0, wanted.size.1),
        format!("--lang={}", wanted.languages.split(',').next().unwrap()),
        // A container's shared memory is too small for it.
        "--disable-dev-shm-usage".to_owned(),
        "--disable-gpu".to_owned(),
        // What it would ask its maker for.
        "--disable-background-networking".to_owned(),
        "--disable-component-update".to_owned(),
        "--no-first-run".to_owned(),
        "--password-store=basic".to_owned(),
        // Pictures that are the same on every machine that has the same fonts.
        "--force-color-profile=srgb".to_owned(),
        "--font-render-hinting=none".to_owned(),
        "--hide-scrollbars".to_owned(),
    ];
    if rustix::process::geteuid().is_root() {
        // It does not start as root with it.
        arguments.push("--no-sandbox".to_owned());
    }
    for argument in &arguments {
        capabilities.add_arg(argument).unwrap();
    }
    if let Some(program) = std::env::var_os("TKBD_CHROMIUM").map(PathBuf::from) {
        capabilities.set_binary(program.to_str().unwrap()).unwrap();
    }
    let mut preferences = Map::new();
    preferences.insert("intl.accept_languages".into(), wanted.languages.into());
    if !wanted.scripts {
        preferences.insert("profile.default_content_setting_values.javascript".into(), 2.into());
    }
    capabilities.add_experimental_option("prefs", preferences).unwrap();
    let mut capabilities: Capabilities = capabilities.into();
    capabilities.set("goog:loggingPrefs", json!({"browser": "ALL", "performance": "ALL"})).unwrap();
    capabilities
}

/// SIGKILL to every process whose arguments hold this path.
fn end_all_that_name(path: &Path) {
    use nix::sys::signal::{Signal, kill};
    let needle = path.as_os_str().as_encoded_bytes();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let mut arguments = Vec::new();
        let read = std::fs::File::open(entry.path().join("cmdline"))
            .and_then(|mut file| file.read_to_end(&mut arguments));
        if read.is_ok() && arguments.windows(needle.len()).any(|window| window == needle) {
            let _ = kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// The bytes of this text in Base64.
fn base64(text: &str) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut kept, mut bits) = (0_u32, 0);
    for letter in text.bytes() {
        let Some(value) = LETTERS.iter().position(|&other| other == letter) else { break };
        kept = kept << 6 | u32::try_from(value).unwrap();
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(kept >> bits & 0xff).unwrap());
        }
    }
    bytes
}
