use std::fmt::Display;
use std::time::{Duration, Instant};

/// Asks again and again until `attempt` succeeds; panics with its last complaint after `timeout`.
pub async fn eventually<T, E: Display>(timeout: Duration, mut attempt: impl AsyncFnMut() -> Result<T, E>) -> T {
    let started = Instant::now();
    loop {
        let complaint = match attempt().await {
            Ok(value) => return value,
            Err(complaint) => complaint,
        };
        assert!(started.elapsed() < timeout, "not within {timeout:?}: {complaint}");
        // tidy: sleep because this is the poll
        tokio::time::sleep(PAUSE).await;
    }
}

/// As [`eventually`], for a plain yes or no.
pub async fn until(timeout: Duration, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    eventually(timeout, async || if holds().await { Ok(()) } else { Err(what) }).await;
}

const PAUSE: Duration = Duration::from_millis(5);
