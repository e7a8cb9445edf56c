//! The Redis of the example: a given one, or one of its own.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use tower::BoxError;

pub(crate) struct Redis {
    url: String,
    own: Option<Own>,
}

/// A server that was started here. It keeps its data in a directory that is removed with it.
struct Own {
    port: u16,
    directory: PathBuf,
    process: Option<Child>,
}

impl Redis {
    /// A server that is not stopped.
    pub(crate) const fn at(url: String) -> Self {
        Self { url, own: None }
    }

    /// Starts a server.
    pub(crate) async fn start_own() -> Result<Self, BoxError> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let name = format!("cluster-example-{}", uuid::Uuid::new_v4().simple());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir(&directory)?;
        let own = Own { port, directory, process: None };
        let mut redis = Self { url: format!("redis://127.0.0.1:{port}"), own: Some(own) };
        redis.start().await?;
        Ok(redis)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Whether it may be killed.
    pub(crate) const fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// Starts the server with what it has stored; returns once it accepts connections.
    pub(crate) async fn start(&mut self) -> Result<(), BoxError> {
        let Some(own) = &mut self.own else { return Ok(()) };
        let mut process = Command::new("redis-server")
            .args(["--port", &own.port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "yes", "--dir"])
            .arg(&own.directory)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("install `redis-server`, or set REDIS_URL: {error}"))?;
        let log = process.stdout.take().ok_or("its output is piped")?;
        own.process = Some(process);
        let mut lines = BufReader::new(log).lines().map_while(Result::ok);
        let is_ready = move || {
            let is_ready = lines.any(|line| line.contains("Ready to accept connections"));
            // The rest of the log must go on being read.
            std::thread::spawn(move || lines.for_each(drop));
            is_ready
        };
        if tokio::task::spawn_blocking(is_ready).await? {
            return Ok(());
        }
        Err("redis-server did not start".into())
    }

    pub(crate) fn kill(&mut self) {
        if let Some(process) = self.own.as_mut().and_then(|own| own.process.as_mut()) {
            // It may have stopped by itself.
            drop(process.kill());
            drop(process.wait());
        }
    }
}

impl Redis {
    /// Removes what a killed server has stored.
    pub(crate) fn forget(&self) -> std::io::Result<()> {
        let Some(own) = &self.own else { return Ok(()) };
        std::fs::remove_dir_all(&own.directory)?;
        std::fs::create_dir(&own.directory)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
        if let Some(own) = &self.own {
            drop(std::fs::remove_dir_all(&own.directory));
        }
    }
}
