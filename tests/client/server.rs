//! A server on a runtime of its own, which can be stopped with its connections.

use std::{
    future::{Future, IntoFuture},
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    sync::{Semaphore, watch},
};

/// A request that a server has answered.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) is_background: bool,
}

/// What a server has seen, and what it does to responses after the stack has made them.
#[derive(Clone)]
pub(crate) struct Control {
    seen: Arc<watch::Sender<Vec<Seen>>>,
    /// Responses below this path are held until one is released.
    held: Arc<Mutex<Option<HeldPath>>>,
    /// Requests below this path are answered so, in place of the app.
    broken: Arc<Mutex<Option<(&'static str, StatusCode)>>>,
}

type HeldPath = (&'static str, Arc<Semaphore>);

/// Lets held responses go.
pub(crate) struct Held(Arc<Semaphore>);

impl Held {
    pub(crate) fn release(&self, responses: usize) {
        self.0.add_permits(responses);
    }
}

impl Control {
    fn new() -> Self {
        let seen = Arc::new(watch::Sender::new(Vec::new()));
        Self { seen, held: Arc::default(), broken: Arc::default() }
    }

    pub(crate) fn hold(&self, path: &'static str) -> Held {
        let semaphore = Arc::new(Semaphore::new(0));
        *self.held.lock().expect("not poisoned") = Some((path, Arc::clone(&semaphore)));
        Held(semaphore)
    }

    /// Responses from now on are not held.
    pub(crate) fn hold_nothing(&self) {
        *self.held.lock().expect("not poisoned") = None;
    }

    pub(crate) fn break_path(&self, path: &'static str, status: StatusCode) {
        *self.broken.lock().expect("not poisoned") = Some((path, status));
    }

    pub(crate) fn mend(&self) {
        *self.broken.lock().expect("not poisoned") = None;
    }

    /// What was answered below `path`.
    pub(crate) fn seen(&self, path: &str) -> Vec<Seen> {
        let seen = self.seen.borrow();
        seen.iter().filter(|seen| seen.path.starts_with(path)).cloned().collect()
    }

    /// Waits until `count` requests below `path` have a response, held or not.
    pub(crate) async fn wait_for(&self, path: &str, count: usize) {
        let is_seen = |seen: &Vec<Seen>| {
            seen.iter().filter(|seen| seen.path.starts_with(path)).count() >= count
        };
        self.seen.subscribe().wait_for(is_seen).await.expect("the server is there");
    }
}

async fn control(State(control): State<Control>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let activity = request.headers().get("session-activity");
    let is_background = activity.is_some_and(|value| value == "background");
    let held = control.held.lock().expect("not poisoned").clone();
    let broken = *control.broken.lock().expect("not poisoned");
    let response = match broken {
        Some((broken, status)) if path.starts_with(broken) => status.into_response(),
        _ => next.run(request).await,
    };
    let seen = Seen { path: path.clone(), is_background };
    control.seen.send_modify(|all| all.push(seen));
    if let Some((held, semaphore)) = held
        && path.starts_with(held)
    {
        semaphore.acquire().await.expect("never closed").forget();
    }
    response
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) control: Control,
    app: Router,
    runtime: Option<Runtime>,
}

impl Server {
    /// Serves `app` over HTTP/1 and HTTP/2.
    pub(crate) async fn start(app: Router) -> Self {
        let control = Control::new();
        let app = app.layer(from_fn_with_state(control.clone(), self::control));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let mut server = Self { address, control, app, runtime: None };
        server.serve(listener);
        server
    }

    fn serve(&mut self, listener: TcpListener) {
        let app = self.app.clone();
        self.run_on(listener, |listener| axum::serve(listener, app).into_future());
    }

    fn run_on<F>(&mut self, listener: TcpListener, serve: impl FnOnce(TcpListener) -> F)
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = listener.into_std().expect("a socket");
        let serving = {
            let _guard = runtime.enter();
            serve(TcpListener::from_std(listener).expect("a socket"))
        };
        runtime.spawn(serving);
        self.runtime = Some(runtime);
    }

    /// Closes the socket and every connection.
    pub(crate) fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Serves the same app at the same address again.
    pub(crate) async fn restart(&mut self) {
        self.stop();
        let socket = loop {
            // The runtime that was shut down closes its socket in its own time.
            match TcpListener::bind(self.address).await {
                Ok(socket) => break socket,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        self.serve(socket);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}
