//! The running node's upgrades, one at a time.

use std::future::{Future, pending};
use std::path::Path;
use std::pin::Pin;

use anyhow::Context;

use super::shortfall::Shortfall;
use super::successor::Launch;
use super::{Answer, Door, Request};
use crate::listeners::Estate;
use crate::state::NodeState;
use crate::supervisor;

/// Replaces this process when asked to.
pub struct Upgrades<'a> {
    pub launch: &'a Launch,
    pub estate: &'a Estate,
    pub state: &'a NodeState,
    /// The node's data folder.
    pub data: &'a Path,
    /// `None` when it could not be opened: then nobody asks.
    pub door: Option<Door>,
}

impl Upgrades<'_> {
    /// Done once a successor serves in place of this process; with its id.
    pub async fn replaced(&self) -> u32 {
        let Some(door) = &self.door else { return pending().await };
        let mut running: Option<Attempt<'_>> = None;
        loop {
            tokio::select! {
                (visitor, request) = door.asked() => match running {
                    Some(_) => visitor.answer(&Answer::Kept("an upgrade is running already".to_owned())).await,
                    None => running = Some(Box::pin(async move { (visitor, self.attempt(&request).await) })),
                },
                (visitor, outcome) = ended(&mut running) => {
                    running = None;
                    match outcome {
                        Ok(id) => {
                            visitor.answer(&Answer::Replaced(id)).await;
                            return id;
                        }
                        Err(error) => {
                            let reason = format!("{error:#}");
                            tracing::error!(reason, "the upgrade failed, this process goes on serving");
                            visitor.answer(&Answer::Kept(reason)).await;
                        }
                    }
                }
            }
        }
    }

    async fn attempt(&self, request: &Request) -> anyhow::Result<u32> {
        tracing::info!(binary = %request.binary.display(), timeout = ?request.timeout, "upgrade begins");
        supervisor::reloading(&format!("starting {}", request.binary.display()));
        let outcome = self.succeeded(request).await;
        if outcome.is_err() {
            supervisor::takes_over(std::process::id(), "serving; the last upgrade failed, see the log");
        }
        outcome
    }

    fn shortfall(&self) -> anyhow::Result<Shortfall> {
        let places: Vec<String> = self.state.lacking().into_iter().map(|(place, _)| place).collect();
        Shortfall::write(self.data, &places).with_context(|| {
            format!("the successor can't be told what serves: {} can't be written", self.data.display())
        })
    }

    async fn succeeded(&self, request: &Request) -> anyhow::Result<u32> {
        let shortfall = (!request.allow_degraded).then(|| self.shortfall()).transpose()?;
        let mut successor = self.launch.start(&request.binary, self.estate, shortfall.as_ref())?;
        successor.ready(request.timeout).await?;
        let id = successor.id();
        // By us, before it is asked to act as the main process: until then the manager believes no other.
        supervisor::takes_over(id, "serving");
        successor.give().await?;
        Ok(id)
    }
}

type Attempt<'a> = Pin<Box<dyn Future<Output = (super::door::Visitor, anyhow::Result<u32>)> + 'a>>;

async fn ended<'a>(running: &mut Option<Attempt<'a>>) -> (super::door::Visitor, anyhow::Result<u32>) {
    match running {
        Some(attempt) => attempt.await,
        None => pending().await,
    }
}
