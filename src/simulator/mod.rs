//! The endpoint, embedded: a server on a real loopback socket, for the demo, the tests and the
//! benches.
//!
//! It never listens on anything but 127.0.0.1, and shares no code with the client, so that neither
//! hides a mistake of the other.

pub mod fault;
mod reply;
pub mod request;
pub mod world;

mod answer;

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::simulator::answer::{Call, Past};
use crate::simulator::reply::Reply;
use crate::simulator::request::Request;
use crate::simulator::world::World;

/// How many requests the log keeps, the newest.
const LOG: usize = 100_000;

/// A running simulator. It stops when it is dropped.
#[derive(Debug)]
pub struct Simulator {
    base_url: Url,
    shared: Arc<Shared>,
    workers: TaskTracker,
}

/// A handle to a running simulator: changes its world and reads its log. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Control(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    received: watch::Sender<u64>,
    stop: CancellationToken,
}

#[derive(Debug)]
struct State {
    world: World,
    past: Past,
    log: VecDeque<Request>,
}

impl Simulator {
    /// Starts a server of `world` on 127.0.0.1.
    ///
    /// # Errors
    ///
    /// The system's, where the port cannot be had.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn start(world: World) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, world.port)).await?;
        let address = listener.local_addr()?;
        let base_url = Url::parse(&format!("http://{address}")).map_err(io::Error::other)?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                world,
                past: Past::default(),
                log: VecDeque::new(),
            }),
            received: watch::Sender::new(0),
            stop: CancellationToken::new(),
        });
        let workers = TaskTracker::new();
        workers.spawn(accept(listener, Arc::clone(&shared), workers.clone()));
        Ok(Self {
            base_url,
            shared,
            workers,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn base_url(&self) -> Url {
        self.base_url.clone()
    }

    /// A handle to it.
    #[must_use]
    pub fn control(&self) -> Control {
        Control(Arc::clone(&self.shared))
    }

    /// Stops it, and returns once its port and its connections are closed.
    pub async fn stop(self) {
        self.shared.stop.cancel();
        self.workers.close();
        self.workers.wait().await;
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

impl Control {
    /// Changes the world, or reads it; the next request finds it so. `change` must not wait for
    /// anything.
    pub fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.0.lock().world)
    }

    /// The requests received, the newest 100,000 of them, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.0.lock().log.iter().cloned().collect()
    }

    /// Returns once `count` requests were received in all, or the simulator has stopped; whether the
    /// former. Answers may still be on their way. Cancel safe.
    pub async fn received(&self, count: u64) -> bool {
        let mut received = self.0.received.subscribe();
        let enough = received.wait_for(|received| *received >= count);
        let enough = self.0.stop.run_until_cancelled(enough).await;
        enough.is_some_and(|enough| enough.is_ok())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in `change` leaves a world that is still one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, workers: TaskTracker) {
    while let Some(accepted) = shared.stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, peer)) => {
                let shared = Arc::clone(&shared);
                workers.spawn(async move {
                    let served = serve(stream, peer, &shared);
                    // A client that breaks off, or does not speak HTTP, has nothing to be told.
                    let _ = shared.stop.run_until_cancelled(served).await;
                });
            }
            // No file descriptor is left, say: without a pause this would spin.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn serve(mut stream: TcpStream, peer: SocketAddr, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut left = Vec::new();
    let key = || shared.lock().world.key.clone();
    loop {
        let request = match Request::read(&mut stream, &mut left, peer, key).await {
            Ok(Some(request)) => request,
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                stream.write_all(&Reply::page(400).into_bytes()).await?;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let last = request.header("connection") == Some("close");
        let (latency, reply, fault) = {
            let mut state = shared.lock();
            let State { world, past, log } = &mut *state;
            let reply = answer::answer(world, past, &request);
            let fault = match Call::of(&request) {
                Call::Results => world
                    .next_faults
                    .pop_front()
                    .or_else(|| world.fault.clone()),
                Call::Upload | Call::Unknown => None,
            };
            if log.len() == LOG {
                log.pop_front();
            }
            log.push_back(request);
            (world.latency, reply, fault)
        };
        shared.received.send_modify(|received| *received += 1);
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let kept = match fault {
            Some(fault) => fault.play(stream, reply).await?,
            None => reply::send(stream, reply).await?,
        };
        match kept {
            Some(kept) if !last => stream = kept,
            _ => return Ok(()),
        }
    }
}
