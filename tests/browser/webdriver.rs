//! A small WebDriver client: ChromeDriver, one Chromium per [`Browser`], and what the tests ask of it.
//!
//! Speaks the protocol over a plain socket; never looks into a page by itself.

use crate::rig::{PATIENCE, until};
use heartbeat::os::thread;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use tempfile::TempDir;

/// Not a byte to anybody but the pages, and nothing that differs between machines.
const ARGUMENTS: [&str; 13] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    "--enable-precise-memory-info",
];

/// Width, height, and whether fingers point.
pub const DESK: (u32, u32, bool) = (1440, 1000, false);
pub const PHONE: (u32, u32, bool) = (390, 844, true);

/// A driver of its own and a browser with a fresh profile; both end when it is dropped.
pub struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    /// Of the browser: removed after both have ended.
    _profile: TempDir,
}

impl Browser {
    pub fn start() -> Browser {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts: tests/run installs chromium-driver");
        let stdout = driver.stdout.take().unwrap();
        let (sender, ports) = channel();
        let reader = move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let port = line
                    .rsplit_once("successfully on port ")
                    .map(|(_, port)| port.trim_end_matches('.'));
                if let Some(port) = port.and_then(|port| port.parse::<u16>().ok()) {
                    let _ = sender.send(port);
                }
            }
        };
        thread::spawn("chromedriver", 128 << 10, reader).unwrap();
        let port = ports.recv_timeout(PATIENCE).expect("chromedriver says its port");
        let profile = tempfile::tempdir().unwrap();
        let mut browser = Browser {
            driver,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            session: String::new(),
            _profile: profile,
        };
        browser.open_session();
        browser
    }

    fn open_session(&mut self) {
        let data = format!("--user-data-dir={}", self._profile.path().display());
        let arguments: Vec<&str> = ARGUMENTS.into_iter().chain([&*data]).collect();
        let wish = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let made = self.call("POST", "/session", Some(&wish));
        self.session = made["sessionId"].as_str().expect("a session").to_owned();
        self.size(DESK);
    }

    /// The `value` of the answer; an error of the driver is a failure of the test.
    #[track_caller]
    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let answer = self.try_call(method, path, body);
        answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    fn try_call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let mut stream = TcpStream::connect(self.address).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(PATIENCE * 3)).unwrap();
        let body = body.map(Value::to_string).unwrap_or_default();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(head.as_bytes()).map_err(|error| error.to_string())?;
        stream.write_all(body.as_bytes()).map_err(|error| error.to_string())?;
        let mut reader = BufReader::new(stream.take(64 << 20));
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).map_err(|error| error.to_string())?;
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut text = vec![0; length];
        reader.read_exact(&mut text).map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        match answer["value"]["error"].as_str() {
            Some(error) => Err(format!("{error}: {}", answer["value"]["message"])),
            None => Ok(answer["value"].clone()),
        }
    }

    #[track_caller]
    fn ask(&self, path: &str, body: &Value) -> Value {
        self.call("POST", &format!("/session/{}/{path}", self.session), Some(body))
    }

    #[track_caller]
    pub fn go(&self, url: &str) {
        self.ask("url", &json!({ "url": url }));
    }

    /// The value of a script's `return`.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        self.ask("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// What the script gives to its last argument, `done`.
    #[track_caller]
    pub fn run_async(&self, script: &str) -> Value {
        let script = format!("const done = arguments[arguments.length - 1]; {script}");
        self.ask("execute/async", &json!({ "script": script, "args": [] }))
    }

    #[track_caller]
    pub fn text(&self, script: &str) -> String {
        match self.run(&format!("return {script}")) {
            Value::String(text) => text,
            other => other.to_string(),
        }
    }

    /// Asks until the expression is true. The page may be on its way to another meanwhile.
    #[track_caller]
    pub fn wait_for(&self, expression: &str) {
        let path = format!("/session/{}/execute/sync", self.session);
        let body = json!({ "script": format!("return Boolean({expression})"), "args": [] });
        until(expression, || {
            (self.try_call("POST", &path, Some(&body)) == Ok(Value::Bool(true))).then_some(())
        });
    }

    /// A command of the DevTools protocol.
    #[track_caller]
    pub fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.ask("goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    #[track_caller]
    pub fn size(&self, (width, height, touch): (u32, u32, bool)) {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics);
        self.devtools("Emulation.setTouchEmulationEnabled", json!({ "enabled": touch }));
    }

    /// Media features, as `[("prefers-color-scheme", "dark")]`; none puts all back.
    #[track_caller]
    pub fn media(&self, media: &str, features: &[(&str, &str)]) {
        let features: Vec<Value> =
            features.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        let wish = json!({ "media": media, "features": features });
        self.devtools("Emulation.setEmulatedMedia", wish);
    }

    /// With or without JavaScript, from the next page on.
    #[track_caller]
    pub fn scripts(&self, on: bool) {
        self.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": !on }));
    }

    #[track_caller]
    pub fn cookie(&self, url: &str, name: &str, value: &str) {
        let cookie = json!({ "url": url, "name": name, "value": value });
        self.devtools("Network.setCookie", cookie);
    }

    #[track_caller]
    pub fn clear_cookies(&self) {
        self.devtools("Network.clearBrowserCookies", json!({}));
    }

    /// Presses keys one after the other, as a person does; `Shift+x` holds a modifier.
    #[track_caller]
    pub fn press(&self, keys: &[&str]) {
        let mut actions = Vec::new();
        for key in keys {
            let (held, key) = match key.strip_prefix("Shift+") {
                Some(key) => (Some("\u{e008}"), key),
                None => (None, *key),
            };
            let code = match key {
                "Tab" => "\u{e004}",
                "Enter" => "\u{e007}",
                "Escape" => "\u{e00c}",
                "Left" => "\u{e012}",
                "Down" => "\u{e015}",
                other => other,
            };
            let key = |kind: &str, value: &str| json!({ "type": kind, "value": value });
            actions.extend(held.map(|held| key("keyDown", held)));
            actions.extend([key("keyDown", code), key("keyUp", code)]);
            actions.extend(held.map(|held| key("keyUp", held)));
        }
        let source = json!({ "type": "key", "id": "keys", "actions": actions });
        self.ask("actions", &json!({ "actions": [source] }));
    }

    /// Types into the element that has the focus.
    #[track_caller]
    pub fn type_text(&self, text: &str) {
        let letters: Vec<String> = text.chars().map(String::from).collect();
        let letters: Vec<&str> = letters.iter().map(String::as_str).collect();
        self.press(&letters);
    }

    /// Clicks the first element that the selector finds, as a person would: it must be seen.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        let wish = json!({ "using": "css selector", "value": selector });
        // What a click before this one sent may still take the page away under the element: then it is looked up again.
        until(&format!("a click on {selector}"), || {
            let path = format!("/session/{}/element", self.session);
            let found = self.try_call("POST", &path, Some(&wish)).ok()?;
            let id = found.as_object()?.values().next()?.as_str()?;
            self.try_call("POST", &format!("{path}/{id}/click"), Some(&json!({}))).ok()
        });
    }

    /// What the console has said since it was asked last, favicon and all: errors of the policy too.
    pub fn console(&self) -> Vec<String> {
        let lines = self.ask("se/log", &json!({ "type": "browser" }));
        let lines = lines.as_array().into_iter().flatten();
        lines.map(|line| format!("{}: {}", line["level"], line["message"])).collect()
    }

    /// A picture of the window (or of the whole page) as PNG.
    pub fn picture(&self, whole: bool) -> Vec<u8> {
        let wish = json!({ "format": "png", "captureBeyondViewport": whole });
        let shot = self.devtools("Page.captureScreenshot", wish);
        decode_base64(shot["data"].as_str().unwrap_or_default())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.try_call("DELETE", &format!("/session/{}", self.session), None);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn decode_base64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default()
}
