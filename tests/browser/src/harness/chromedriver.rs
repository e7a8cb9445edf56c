//! The one chromedriver of this process.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

struct Chromedriver {
    url: String,
    /// Holds the end of the pipe by which the driver notices that this process has ended.
    _process: Child,
}

/// The address of the driver, which is started by the first call.
pub(super) fn url() -> &'static str {
    static DRIVER: OnceLock<Chromedriver> = OnceLock::new();
    &DRIVER.get_or_init(start).url
}

/// Starts chromedriver at a free port. It ends with this process, however that ends: `read` returns
/// when the pipe is closed.
fn start() -> Chromedriver {
    let mut process = Command::new("sh")
        .args(["-c", "chromedriver --port=0 & read -r _; kill $!"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh starts");
    let output = BufReader::new(process.stdout.take().expect("a pipe"));
    let port = output
        .lines()
        .map_while(Result::ok)
        .find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse::<u16>().ok()
        })
        .expect("chromedriver is installed and says its port");
    Chromedriver { url: format!("http://127.0.0.1:{port}"), _process: process }
}
