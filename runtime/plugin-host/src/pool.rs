//! Instances of one module generation on one worker.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::sync::Notify;

use crate::error::HookErrorKind;
use crate::host::Services;
use crate::instance::{Fault, Instance};
use crate::module::ModuleGeneration;
use crate::plugin::PluginUse;

pub(crate) struct Pool {
    module: Arc<ModuleGeneration>,
    services: Arc<Services>,
    bounds: Bounds,
    #[expect(clippy::vec_box, reason = "an instance is large, and moved several times a hook")]
    idle: RefCell<Vec<Box<Instance>>>,
    /// Busy and idle together.
    total: Cell<usize>,
    freed: Notify,
    /// Uses of the current snapshot, and how often that was told; `None` once the snapshot has no
    /// use of this generation: instances are then dropped instead of kept.
    live: RefCell<Option<Rc<HashSet<u32, RandomState>>>>,
    swaps: Cell<u64>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) instances: usize,
    pub(crate) idle: usize,
    pub(crate) wait: Duration,
    /// Linear memory above which an instance is dropped after its hook.
    pub(crate) high_water: usize,
}

/// An instance on loan. Dropped without [`Lease::give_back`] (a fault, a cancelled call), the
/// instance is gone and its place free.
pub(crate) struct Lease {
    pool: Rc<Pool>,
    instance: Option<Box<Instance>>,
    /// Still counted in the pool's total by this lease.
    placed: bool,
}

impl Pool {
    pub(crate) fn new(
        module: Arc<ModuleGeneration>,
        services: Arc<Services>,
        bounds: Bounds,
        live: Option<Rc<HashSet<u32, RandomState>>>,
    ) -> Rc<Pool> {
        Rc::new(Pool {
            module,
            services,
            bounds,
            idle: RefCell::default(),
            total: Cell::new(0),
            freed: Notify::new(),
            live: RefCell::new(live),
            swaps: Cell::new(0),
        })
    }

    /// An instance that knows the use; waits a little when all are busy.
    pub(crate) async fn lease(self: &Rc<Pool>, plugin: &Arc<PluginUse>) -> Result<Lease, Fault> {
        if !plugin.fresh_instances()
            && let Some(instance) = self.take_idle()
        {
            let mut lease = self.lease_of(instance);
            if lease.is_ready(plugin) {
                return Ok(lease);
            }
            return Box::pin(lease.made_ready(plugin)).await;
        }
        // Boxed: most hooks find one that is ready, and have no use for the room that starting one takes.
        Box::pin(self.lease_another(plugin)).await
    }

    async fn lease_another(self: &Rc<Pool>, plugin: &Arc<PluginUse>) -> Result<Lease, Fault> {
        let fresh = plugin.fresh_instances();
        if !self.grow() {
            // An idle one is left only where a fresh one is wanted: it makes room.
            let came_back = match self.take_idle() {
                Some(idle) => Some(idle),
                None => self.wait().await?,
            };
            if let Some(instance) = came_back
                && !fresh
            {
                return self.lease_of(instance).made_ready(plugin).await;
            }
        }
        let mut place = Lease { pool: Rc::clone(self), instance: None, placed: true };
        place.start(plugin).await?;
        Ok(place)
    }

    /// Tells which uses the new snapshot has; `None` when it has none of this generation.
    pub(crate) fn told(&self, live: Option<Rc<HashSet<u32, RandomState>>>) {
        if live.is_none() {
            self.idle.take().iter().for_each(|_| self.shrink());
        }
        *self.live.borrow_mut() = live;
        self.swaps.set(self.swaps.get() + 1);
    }

    pub(crate) fn is_unused(&self) -> bool {
        self.total.get() == 0 && self.live.borrow().is_none()
    }

    /// Makes a place for one more instance, if there may be one. The first one always may.
    fn grow(&self) -> bool {
        let total = self.total.get();
        let grows = total == 0 || total < self.bounds.instances && self.module.share().take();
        if grows {
            self.total.set(total + 1);
        }
        grows
    }

    fn shrink(&self) {
        let total = self.total.get() - 1;
        self.total.set(total);
        if total > 0 {
            self.module.share().give_back();
        }
        self.freed.notify_one();
    }

    fn take_idle(&self) -> Option<Box<Instance>> {
        self.idle.borrow_mut().pop()
    }

    /// An instance that came back, or `None` when a place became free.
    async fn wait(&self) -> Result<Option<Box<Instance>>, Fault> {
        let freed = async {
            loop {
                // Nobody tells of what another worker or module lets go.
                let _ = tokio::time::timeout(RECHECK, self.freed.notified()).await;
                if let Some(instance) = self.take_idle() {
                    return Some(instance);
                }
                if self.grow() {
                    return None;
                }
            }
        };
        tokio::time::timeout(self.bounds.wait, freed).await.map_err(|_| Fault {
            kind: HookErrorKind::Exhausted,
            detail: format!("all instances are busy, {} on this worker", self.total.get()),
        })
    }

    fn lease_of(self: &Rc<Pool>, instance: Box<Instance>) -> Lease {
        Lease { pool: Rc::clone(self), instance: Some(instance), placed: true }
    }
}

impl Lease {
    pub(crate) fn instance(&mut self) -> &mut Instance {
        self.instance.as_mut().expect("a lease holds its instance until it is given back")
    }

    /// The call went well: the instance may serve again.
    pub(crate) fn give_back(mut self, plugin: &PluginUse) {
        let keep = !plugin.fresh_instances()
            && self.pool.live.borrow().is_some()
            && self.pool.idle.borrow().len() < self.pool.bounds.idle
            && self.instance().memory() <= self.pool.bounds.high_water;
        if keep && let Some(instance) = self.instance.take() {
            self.placed = false;
            self.pool.idle.borrow_mut().push(instance);
            self.pool.freed.notify_one();
        }
    }

    /// Puts a new instance into the place.
    async fn start(&mut self, plugin: &Arc<PluginUse>) -> Result<(), Fault> {
        self.instance = Some(Box::new(Instance::start(&self.pool.module, &self.pool.services).await?));
        self.configured(plugin).await
    }

    /// It knows the use, and has forgotten those that are gone.
    fn is_ready(&mut self, plugin: &PluginUse) -> bool {
        let swaps = self.pool.swaps.get();
        let instance = self.instance();
        instance.swept == swaps && instance.is_configured(plugin.id())
    }

    async fn made_ready(mut self, plugin: &Arc<PluginUse>) -> Result<Lease, Fault> {
        // What other uses left in it is none of this one's business: a fresh instance decides.
        if self.prepare(plugin).await.is_err() {
            self.instance = None;
            self.start(plugin).await?;
        }
        Ok(self)
    }

    async fn prepare(&mut self, plugin: &Arc<PluginUse>) -> Result<(), Fault> {
        self.sweep().await?;
        self.configured(plugin).await
    }

    async fn configured(&mut self, plugin: &Arc<PluginUse>) -> Result<(), Fault> {
        if self.instance().is_configured(plugin.id()) {
            return Ok(());
        }
        match self.instance().configure(plugin).await? {
            Ok(_) => Ok(()),
            Err(problems) => Err(Fault {
                kind: HookErrorKind::Configure,
                detail: problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>().join("; "),
            }),
        }
    }

    /// After a swap: lets the guest forget the uses that are gone.
    async fn sweep(&mut self) -> Result<(), Fault> {
        let swaps = self.pool.swaps.get();
        if self.instance().swept == swaps {
            return Ok(());
        }
        let live = self.pool.live.borrow().clone();
        if let Some(live) = live {
            self.instance().release_all_but(&live).await?;
        }
        self.instance().swept = swaps;
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(exchange) = self.instance.as_mut().and_then(|instance| instance.cut_off()) {
            exchange.go_home();
        }
        if self.placed {
            self.pool.shrink();
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        while self.total.get() > 0 {
            self.shrink();
        }
    }
}

/// How often who waits looks for what others let go.
const RECHECK: Duration = Duration::from_millis(10);
