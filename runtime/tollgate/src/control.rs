//! The admin and status listeners in the node's life: they begin when the node is to be seen, and may
//! end before it does.

use std::net::TcpListener;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tollgate_control::{AdminOptions, NodeView, serve_admin, serve_status};

/// Both listeners. What connects before they begin waits in the kernel's queue.
pub struct Control {
    pending: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    running: Option<JoinHandle<()>>,
    stop: watch::Sender<bool>,
}

impl Control {
    pub fn new(status: TcpListener, admin: TcpListener, view: Arc<dyn NodeView>, options: AdminOptions) -> Control {
        let (stop, stopped) = watch::channel(false);
        let status = serve_status(status, Arc::clone(&view), told(stopped.clone()));
        let admin = serve_admin(admin, view, options, told(stopped));
        let both = async move {
            let (status, admin) = tokio::join!(status, admin);
            if let Err(error) = status.and(admin) {
                tracing::error!(%error, "the status or admin listener ended");
            }
        };
        Control { pending: Some(Box::pin(both)), running: None, stop }
    }

    pub fn begin(&mut self) {
        if let Some(pending) = self.pending.take() {
            self.running = Some(tokio::spawn(pending));
        }
    }

    /// They have ended, or have had their time for it.
    pub async fn end(&mut self) {
        self.stop.send_replace(true);
        if let Some(running) = self.running.take() {
            let _ = tokio::time::timeout(PATIENCE, running).await;
        }
    }
}

async fn told(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

const PATIENCE: Duration = Duration::from_secs(2);
