//! One attempt, with the revision locked.

use std::sync::Arc;

use tollgate_model::Problem;
use tollgate_model::decode::Place;
use tollgate_store::database::{Edit, Origin, Since, Writing};

use super::draft::{Draft, Planned};
use super::{Plan, WriteError, Writer, Written};
use crate::configuration::{Feed, Known};

impl Writer {
    pub(super) async fn attempt<P: Plan>(
        &self,
        origin: &Origin,
        dry_run: bool,
        plan: &P,
    ) -> Result<Written<P::Outcome>, WriteError> {
        let mut writing = self.inner.feed.database().begin().await?;
        let known = self.caught_up(&mut writing).await?;
        let head = writing.revision().clone();
        let vault = Arc::clone(self.inner.feed.vault());
        let mut draft = Draft::new(&mut writing, &known, &vault);
        let outcome = plan.plan(&mut draft).await?;
        let planned = draft.into_planned();
        let is_empty = planned.edits.is_empty() && !planned.forced;
        let edits = self.checked(&known, &planned).await?;
        if dry_run || is_empty {
            return Ok(Written { outcome, revision: head, step: None, applied: true });
        }
        for (digest, bytes) in &planned.blobs {
            writing.put_blob(digest, bytes).await?;
        }
        // Whoever asked may be gone before the answer comes, and this with them: the commit stays.
        let _looked_for = LookedFor(&self.inner.feed);
        let step = writing.commit(origin, &edits).await?;
        Ok(Written { outcome, revision: step.revision.clone(), step: Some(step), applied: false })
    }

    /// What is known at the locked revision.
    async fn caught_up(&self, writing: &mut Writing) -> Result<Arc<Known>, WriteError> {
        let feed = &self.inner.feed;
        let known = feed.known();
        match writing.since(&known.revision).await? {
            Since::Steps(steps) if steps.is_empty() => Ok(known),
            Since::Steps(steps) => {
                let vault = Arc::clone(feed.vault());
                let following = move || steps.iter().fold((*known).clone(), |known, step| known.follow(step, &vault));
                Ok(Arc::new(aside(following).await))
            }
            Since::Anew => {
                feed.hint(None);
                let mut rows = Vec::new();
                writing.load(&mut |row| rows.push(row)).await?;
                let revision = writing.revision().clone();
                let vault = Arc::clone(feed.vault());
                Ok(Arc::new(aside(move || known.anew(revision, rows, &vault)).await))
            }
        }
    }

    /// The edits to store, if nothing is wrong with what they lead to.
    async fn checked(&self, known: &Known, planned: &Planned) -> Result<Vec<Edit>, WriteError> {
        let (before, entities) = (Arc::clone(&known.set), planned.entities());
        let set = aside(move || before.edit(&entities)).await?;
        let modules = planned.modules(&known.modules);
        let plugins = planned.plugins(&set, known);
        let mut problems = self.inner.settings.check(&plugins, &modules).await;
        for (name, chain, key) in planned.certificates(&set) {
            if let Err(problem) = self.inner.settings.certificate(chain, key) {
                problems.0.push(Problem::new(&Place::Root.key("certificates").key(name), problem));
            }
        }
        problems.into_result(())?;
        planned.sealed(self.inner.feed.vault())
    }
}

/// Once it is over, however it ended, the node looks what there is.
struct LookedFor<'a>(&'a Feed);

impl Drop for LookedFor<'_> {
    fn drop(&mut self) {
        self.0.hint(None);
    }
}

/// Off the runtime: with many entities it takes a while.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("following does not panic, and is never cancelled")
}
