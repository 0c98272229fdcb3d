//! The HTML page in Chromium, driven through its debugging pipe: what a reader does, and that nothing else happens.
//!
//! Without Chromium on the path each check is reported as ignored, with the reason in its name.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};
use serde_json::{Value, json};
use systole::jobs::{NamedAccelerator, Strings, TableRequest, pareto_table, write_report};
use systole::pareto::{Point, Table, fronts};
use systole::report::{Details, Picture, Report};

type Outcome = Result<(), Box<dyn Error>>;
type Check = fn(&mut Browser, &Path) -> Outcome;

const CHECKS: [(&str, Check); 4] = [
    ("ten_thousand_points_are_sorted_hovered_and_opened", ten_thousand_points),
    ("a_point_of_a_table_shows_its_layers_and_opens_its_network", point_of_a_table),
    ("names_of_files_run_nothing_and_a_run_shows_its_network", hostile_names),
    ("the_page_follows_the_colour_scheme_and_fits_a_narrow_screen", schemes_and_widths),
];

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// How long the browser may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let browser = find();
    let trials = CHECKS.map(|(name, check)| trial(name, browser.clone(), check));
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit_code()
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|file| file.is_file())
}

fn trial(name: &str, browser: Option<PathBuf>, check: Check) -> Trial {
    let Some(browser) = browser else {
        return Trial::test(format!("{name} (no Chromium on the path)"), || Err("no Chromium".into()))
            .with_ignored_flag(true);
    };
    Trial::test(name, move || {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let run = |browser: &mut Browser| {
            check(browser, folder.path())?;
            browser.is_quiet()
        };
        let done = Browser::start(&browser, folder.path()).and_then(|mut browser| run(&mut browser));
        done.map_err(|error| error.to_string().into())
    })
}

/// A headless browser with one page.
struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    session: Option<String>,
    last: u64,
    /// Errors of the program and the console.
    problems: Vec<String>,
    /// Addresses that were asked for.
    requests: Vec<String>,
    loaded: bool,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Browser {
    /// Messages go in by the file descriptor 3 and come out by 4, each with a zero byte at its end.
    fn start(program: &Path, folder: &Path) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new("sh");
        command.args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null"#]).arg(program);
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]);
        command.arg("--remote-debugging-pipe").arg(format!("--user-data-dir={}", folder.join("profile").display()));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (input, output) = (child.stdin.take().ok_or("no input")?, child.stdout.take().ok_or("no output")?);
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for text in BufReader::new(output).split(0).map_while(Result::ok) {
                if serde_json::from_slice(&text).is_ok_and(|message: Value| sender.send(message).is_err()) {
                    return;
                }
            }
        });
        let (problems, requests) = (Vec::new(), Vec::new());
        let mut browser = Self { child, input, messages, session: None, last: 0, problems, requests, loaded: false };
        let target = browser.call("Target.createTarget", &json!({"url": "about:blank"}))?["targetId"].clone();
        let session = browser.call("Target.attachToTarget", &json!({"targetId": target, "flatten": true}))?;
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), &json!({}))?;
        }
        browser.screen(1280)?;
        Ok(browser)
    }

    fn call(&mut self, method: &str, params: &Value) -> Result<Value, Box<dyn Error>> {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.input.write_all(format!("{message}\0").as_bytes())?;
        loop {
            let answer = self.receive()?;
            if answer["id"] == self.last {
                return match answer.get("error") {
                    Some(error) => Err(format!("{method}: {error}").into()),
                    None => Ok(answer["result"].clone()),
                };
            }
        }
    }

    fn receive(&mut self) -> Result<Value, Box<dyn Error>> {
        let message = self.messages.recv_timeout(PATIENCE)?;
        let params = &message["params"];
        match message["method"].as_str().unwrap_or_default() {
            "Page.loadEventFired" => self.loaded = true,
            "Network.requestWillBeSent" => self.requests.push(params["request"]["url"].to_string()),
            "Runtime.exceptionThrown" => self.problems.push(params["exceptionDetails"].to_string()),
            "Runtime.consoleAPICalled" if params["type"] == "error" => self.problems.push(params["args"].to_string()),
            "Log.entryAdded" if params["entry"]["level"] == "error" => self.problems.push(params["entry"].to_string()),
            _ => {}
        }
        Ok(message)
    }

    /// Opens a file and waits until it is drawn.
    fn open(&mut self, file: &Path) -> Outcome {
        self.loaded = false;
        self.call("Page.navigate", &json!({"url": format!("file://{}", file.display())}))?;
        while !self.loaded {
            self.receive()?;
        }
        self.eval("new Promise(done => requestAnimationFrame(() => setTimeout(() => done(1))))").map(drop)
    }

    fn eval(&mut self, expression: &str) -> Result<Value, Box<dyn Error>> {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", &params)?;
        match answer.get("exceptionDetails") {
            Some(details) => Err(format!("`{expression}`: {details}").into()),
            None => Ok(answer["result"]["value"].clone()),
        }
    }

    /// That an expression has a value.
    fn holds(&mut self, expression: &str, expected: &Value) -> Outcome {
        let found = self.eval(expression)?;
        if found == *expected { Ok(()) } else { Err(format!("`{expression}` is {found}, not {expected}").into()) }
    }

    fn screen(&mut self, width: u32) -> Outcome {
        let metrics = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", &metrics).map(drop)
    }

    fn mouse(&mut self, kind: &str, [x, y]: [f64; 2]) -> Outcome {
        let clicks = u32::from(kind != "mouseMoved");
        let button = if clicks > 0 { "left" } else { "none" };
        let params = json!({"type": kind, "x": x, "y": y, "button": button, "clickCount": clicks});
        self.call("Input.dispatchMouseEvent", &params).map(drop)
    }

    fn key(&mut self, key: &str) -> Outcome {
        for kind in ["keyDown", "keyUp"] {
            let text = if key == "Enter" && kind == "keyDown" { "\r" } else { "" };
            self.call("Input.dispatchKeyEvent", &json!({"type": kind, "key": key, "code": key, "text": text}))?;
        }
        Ok(())
    }

    /// That no error came up and nothing but files and what the page made itself was asked for.
    fn is_quiet(&mut self) -> Outcome {
        self.eval("1")?;
        let own =
            |url: &&String| ["\"file:", "\"data:", "\"blob:", "\"about:"].iter().any(|start| url.starts_with(start));
        let foreign: Vec<&String> = self.requests.iter().filter(|url| !own(url)).collect();
        if self.problems.is_empty() && foreign.is_empty() {
            return Ok(());
        }
        Err(format!("errors {:?}, requests {foreign:?}", self.problems).into())
    }
}

/// Writes the page of `points` and opens it.
fn shown(browser: &mut Browser, folder: &Path, points: Vec<Point>, details: Vec<Details>) -> Outcome {
    let fronts = fronts(points, None)?;
    let title = "Accuracy and <i>latency</i>".to_owned();
    let notes = vec!["a note <b>of</b> a run".to_owned()];
    let page = Report { title, lead: String::new(), fronts: &fronts, details, networks: None, notes }.html();
    let file = folder.join("page.html");
    std::fs::write(&file, page)?;
    browser.open(&file)
}

/// Points along a hyperbola and above it: the first hundredth is the front, the fastest first.
fn many(count: u32) -> Vec<Point> {
    let one = |i: u32| {
        let along = f64::from(i % 100 + 1) / 100.0;
        let above = f64::from(i / 100) / 300.0;
        let mut point = Point::new(&format!("arch{i}"), "tpu-v1", [0.05 / (along + 0.05) * 0.5 + above, along + above]);
        point.utilization = Some(along);
        point
    };
    (0..count).map(one).collect()
}

fn ten_thousand_points(browser: &mut Browser, folder: &Path) -> Outcome {
    let start = Instant::now();
    shown(browser, folder, many(10_000), Vec::new())?;
    let made = "performance.getEntriesByType('navigation')[0].loadEventEnd";
    let loaded = browser.eval(made)?;
    writeln!(std::io::stderr(), "10000 points: loaded in {loaded} ms, {:?} with the writing", start.elapsed())?;
    browser.holds("document.querySelectorAll('#points tbody tr').length", &json!(50))?;
    browser.holds("document.querySelector('#pages span').textContent", &json!("1 to 50 of 10000"))?;
    // Fastest first, then by name from the last, then on to the second page.
    let first = "document.querySelector('#points tbody tr .name-cell').textContent";
    browser.holds(first, &json!("arch0"))?;
    let sort =
        "[...document.querySelectorAll('#points th button')].find(b => b.textContent.startsWith('name')).click()";
    browser.eval(sort)?;
    browser.eval(sort)?;
    browser.holds(first, &json!("arch9999"))?;
    browser.holds("document.querySelector('th[aria-sort=descending]').textContent", &json!("name ▼"))?;
    browser.eval("[...document.querySelectorAll('#pages button')].find(b => b.textContent === 'on').click()")?;
    browser.holds(first, &json!("arch9949"))?;
    // The keys go along the points; the ring is where the mouse then finds the same one.
    browser.eval("document.querySelector('#plot svg').focus()")?;
    browser.key("Home")?;
    browser.holds("document.querySelector('#tip b').textContent", &json!("★ arch0"))?;
    let ring = "(() => { const box = document.querySelector('#plot svg .ring').getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2] })()";
    let at: [f64; 2] = serde_json::from_value(browser.eval(ring)?)?;
    browser.mouse("mouseMoved", [2.0, 2.0])?;
    browser.key("Escape")?;
    browser.holds("document.getElementById('tip').hidden", &json!(true))?;
    browser.mouse("mouseMoved", at)?;
    browser.holds("document.getElementById('tip').hidden", &json!(false))?;
    browser.holds("document.querySelector('#tip b').textContent", &json!("★ arch0"))?;
    browser.mouse("mousePressed", at)?;
    browser.mouse("mouseReleased", at)?;
    browser.holds("document.getElementById('details-title').textContent", &json!("arch0"))?;
    browser.key("Escape")?;
    browser.holds("document.getElementById('details').hidden", &json!(true))?;
    let filter = "(() => { const box = document.getElementById('filter'); box.value = 'ARCH999'; box.dispatchEvent(new Event('input')) })()";
    browser.eval(filter)?;
    // arch999 and arch9990 to arch9999
    browser.holds("document.querySelectorAll('#points tbody tr').length", &json!(11))
}

fn point_of_a_table(browser: &mut Browser, folder: &Path) -> Outcome {
    let table = folder.join("table.csv");
    std::fs::write(&table, "arch,mean_acc\n00000000,60\n11111111,90\n01201201,80\n")?;
    let request = TableRequest {
        table,
        column: Table::ACCURACY.to_owned(),
        space: "nas-bench-macro".to_owned(),
        accelerators: &[NamedAccelerator::load("tpu-v2", None)?, NamedAccelerator::load("small-32x32", None)?],
        timing: None,
        objectives: systole::pareto::Objectives::default(),
        reference: None,
        co_search: None,
        shown: true,
    };
    let outcome = pareto_table(&request)?;
    let file = folder.join("page.html");
    write_report(&file, &outcome.fronts, outcome.shown, &outcome.warnings)?;
    browser.open(&file)?;
    let yaml = Strings::load("nas-bench-macro")?.network("01201201")?.to_yaml();
    let button = "[...document.querySelectorAll('#points td button')].filter(b => b.textContent === '01201201')";
    browser.holds(&format!("{button}.length"), &json!(2))?;
    browser.eval(&format!("{button}[1].focus()"))?;
    browser.holds("document.querySelectorAll('#tip .bar').length", &json!(8))?;
    browser.eval(&format!("{button}[1].click()"))?;
    browser.holds("document.getElementById('details-title').textContent", &json!("01201201"))?;
    browser.holds("document.querySelector('#details pre').textContent", &json!(yaml))
}

fn hostile_names(browser: &mut Browser, folder: &Path) -> Outcome {
    let names = [
        "</script><script>window.hacked=1</script>",
        "<img src=x onerror=\"window.hacked=1\">",
        "\" onfocus=\"window.hacked=1\" autofocus '",
    ];
    let points =
        names.iter().zip(1_u8..).map(|(name, i)| Point::new(name, names[1], [0.1 * f64::from(i), f64::from(i)]));
    let details = |name: &&str| {
        Details {
        key: (*name).to_owned(),
        accelerator: names[1].to_owned(),
        facts: vec![("warning", names[1].to_owned())],
        network: Some(names.concat()),
        problems: vec![names[0].to_owned()],
        pictures: vec![Picture {
            title: names[1].to_owned(),
            svg: "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"30\" height=\"20\"><script>window.hacked=1</script></svg>".to_owned(),
        }],
        ..Details::default()
    }
    };
    shown(browser, folder, points.collect(), names.iter().map(details).collect())?;
    browser.holds("document.querySelector('h1').textContent", &json!("Accuracy and <i>latency</i>"))?;
    browser.eval("document.querySelectorAll('#points td button')[0].click()")?;
    browser.holds("document.getElementById('details-title').textContent", &json!(names[0]))?;
    browser.holds("document.querySelector('#details pre').textContent", &json!(names.concat()))?;
    browser.eval("document.querySelector('#details details').open = true")?;
    let picture = "new Promise(done => setTimeout(() => { const img = document.querySelector('#details img'); img.decode().then(() => done(img.naturalWidth)) }, 50))";
    browser.holds(picture, &json!(30))?;
    browser.holds("document.querySelector('#notes li').textContent", &json!("a note <b>of</b> a run"))?;
    browser.holds("window.hacked === undefined", &json!(true))?;
    // The policy of the page, should a name ever become markup: a handler that is put in does not run.
    let handler = "(() => { const made = document.createElement('p'); made.setAttribute('onclick', 'window.hacked=1'); made.click(); return window.hacked === undefined })()";
    browser.holds(handler, &json!(true))?;
    browser.eval("1")?;
    browser.problems.retain(|problem| !problem.contains("inline event handler"));
    Ok(())
}

fn schemes_and_widths(browser: &mut Browser, folder: &Path) -> Outcome {
    shown(browser, folder, many(300), Vec::new())?;
    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        browser.call("Emulation.setEmulatedMedia", &media)?;
        grounds.push(browser.eval("getComputedStyle(document.body).backgroundColor")?);
    }
    if grounds[0] != "rgb(255, 255, 255)" || grounds[0] == grounds[1] {
        return Err(format!("{grounds:?}").into());
    }
    for width in [400, 1280] {
        browser.screen(width)?;
        browser.eval("new Promise(done => requestAnimationFrame(() => setTimeout(() => done(1), 50)))")?;
        browser.holds("document.documentElement.scrollWidth <= innerWidth", &json!(true))?;
        browser.holds(
            "document.querySelector('#plot svg').viewBox.baseVal.width === document.getElementById('plot').clientWidth",
            &json!(true),
        )?;
    }
    Ok(())
}
