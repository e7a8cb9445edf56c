//! An example of the crate as a process.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    sync::OnceLock,
};

use serde_json::Value;

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");

/// The programs by name, which the first call builds.
fn programs() -> &'static HashMap<String, PathBuf> {
    static PROGRAMS: OnceLock<HashMap<String, PathBuf>> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let output = Command::new(env!("CARGO"))
            .args(["build", "--manifest-path", MANIFEST, "--all-features"])
            .args(["--example", "demo", "--example", "accounts", "--message-format", "json"])
            .stderr(Stdio::inherit())
            .output()
            .expect("cargo starts");
        assert!(output.status.success(), "the examples build");
        let messages = output.stdout.split(|byte| *byte == b'\n');
        messages
            .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
            .filter_map(|message| {
                let program = message["executable"].as_str()?;
                Some((message["target"]["name"].as_str()?.to_owned(), program.into()))
            })
            .collect()
    })
}

pub(super) struct Example {
    process: Child,
    /// A program whose output nobody reads ends at the next line.
    _output: BufReader<ChildStdout>,
    pub(super) url: String,
}

impl Example {
    /// Starts the example `name` with `settings` as its environment, at a free port.
    pub(super) fn start(name: &str, settings: &[(&str, &str)]) -> Self {
        let mut process = Command::new(&programs()[name])
            .envs([("DEMO_ADDR", "127.0.0.1:0"), ("ACCOUNTS_ADDR", "127.0.0.1:0")])
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the example starts");
        let mut output = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut line = String::new();
        output.read_line(&mut line).expect("UTF-8");
        let url = line.trim_end().strip_prefix("listening on ").expect("the address").to_owned();
        Self { process, _output: output, url }
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // It has ended by itself if this fails.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
