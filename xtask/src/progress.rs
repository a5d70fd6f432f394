//! Progress on the terminal: which step runs, and how long each took.

use std::time::{Duration, Instant};

use anyhow::Result;

/// The steps of one chore, in order.
pub struct Steps {
    started: Instant,
    done: Vec<(String, Duration)>,
}

impl Steps {
    pub fn start() -> Self {
        Steps { started: Instant::now(), done: Vec::new() }
    }

    /// Announces a step, runs it and says how long it took.
    pub fn step<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        eprintln!("==> {name}");
        let started = Instant::now();
        let outcome = work();
        let took = started.elapsed();
        eprintln!("    {} after {}", if outcome.is_ok() { "done" } else { "failed" }, seconds(took));
        self.done.push((name.to_owned(), took));
        outcome
    }

    /// Prints the time of every step and of all together.
    pub fn summary(&self) {
        eprintln!();
        for (name, took) in &self.done {
            eprintln!("{:>9}  {name}", seconds(*took));
        }
        eprintln!("{:>9}  in all", seconds(self.started.elapsed()));
    }
}

/// `12.3 s`, or `4 min 05 s` for more than a minute.
pub fn seconds(duration: Duration) -> String {
    let whole = duration.as_secs();
    if whole < 60 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{} min {:02} s", whole / 60, whole % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_times_are_told_in_minutes() {
        assert_eq!(seconds(Duration::from_millis(12_340)), "12.3 s");
        assert_eq!(seconds(Duration::from_secs(245)), "4 min 05 s");
    }
}
