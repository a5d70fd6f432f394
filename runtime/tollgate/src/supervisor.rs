//! What a service manager such as systemd is told, sd_notify(3), and nobody if there is none
//! (`NOTIFY_SOCKET`).

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tollgate_proxy::WorkerMetrics;

/// This process serves.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Something is about to change; to be followed by [`takes_over`].
pub fn reloading(status: &str) {
    let mut states = vec![NotifyState::Reloading, NotifyState::Status(status)];
    states.extend(NotifyState::monotonic_usec_now());
    tell(&states);
}

/// The process with this id is the service from now on, and serves.
pub fn takes_over(id: u32, status: &str) {
    tell(&[NotifyState::MainPid(id), NotifyState::Ready, NotifyState::Status(status)]);
}

pub fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// The service is about to end.
pub fn stopping(status: &str) {
    tell(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// Tells a manager that wants to know (`WATCHDOG_USEC`) that this process is well, for ever: as long
/// as this runs, and every worker moves.
pub async fn watchdog(workers: Vec<Arc<WorkerMetrics>>) {
    let Some(interval) = sd_notify::watchdog_enabled() else { return pending().await };
    loop {
        tokio::time::sleep(interval / 3).await;
        let patience = interval.max(WORKER_PATIENCE);
        let stuck = workers.iter().enumerate().find_map(|(number, worker)| Some((number, worker.fault(patience)?)));
        match stuck {
            None => tell(&[NotifyState::Watchdog]),
            Some((worker, fault)) => {
                tracing::error!(worker, ?fault, "a worker does not move, the watchdog is not told");
            }
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager can't be told");
    }
}

/// Workers beat once a second; one that is starved for a moment is not stuck.
pub const WORKER_PATIENCE: Duration = Duration::from_secs(5);
