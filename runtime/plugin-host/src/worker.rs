//! What one data-plane thread owns of the plugin machinery.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::abi::Action;
use crate::batch::Batches;
use crate::error::HookError;
use crate::exchange::Exchange;
use crate::host::Host;
use crate::instance::{Fault, Hook};
use crate::plugin::PluginUse;
use crate::pool::{Bounds, Pool};

/// Calls hooks on one thread's own instances. Lives on that thread.
pub struct Worker {
    host: Arc<Host>,
    pools: RefCell<HashMap<u64, Rc<Pool>, RandomState>>,
    /// Uses of the current snapshot by generation.
    live: RefCell<HashMap<u64, Uses, RandomState>>,
    pub(crate) batches: Batches,
}

type Uses = Rc<HashSet<u32, RandomState>>;

impl Worker {
    pub fn new(host: Arc<Host>) -> Rc<Worker> {
        Rc::new(Worker { host, pools: RefCell::default(), live: RefCell::default(), batches: Batches::default() })
    }

    /// A new snapshot serves, with these uses: idle instances of generations that it does not have
    /// are dropped at once, busy ones when their hook ends.
    pub fn told_of_swap<'a>(&self, uses: impl Iterator<Item = &'a Arc<PluginUse>>) {
        let mut live: HashMap<u64, HashSet<u32, RandomState>, RandomState> = HashMap::default();
        for plugin in uses {
            live.entry(plugin.module().number()).or_default().insert(plugin.id());
        }
        let live: HashMap<u64, Uses, RandomState> =
            live.into_iter().map(|(number, ids)| (number, Rc::new(ids))).collect();
        let mut pools = self.pools.borrow_mut();
        for (number, pool) in pools.iter() {
            pool.told(live.get(number).cloned());
        }
        pools.retain(|_, pool| !pool.is_unused());
        *self.live.borrow_mut() = live;
    }

    /// Lets go of generations that no snapshot has and whose last hook or log batch has ended. To be
    /// called now and then.
    pub fn keep_house(&self) {
        self.pools.borrow_mut().retain(|_, pool| !pool.is_unused());
    }

    /// Calls one hook on an instance of its own; the exchange comes back whatever happens. If the
    /// future is dropped, it goes to its [`Home`](crate::Home).
    pub(crate) async fn hook(
        &self,
        plugin: &Arc<PluginUse>,
        hook: Hook,
        exchange: Box<Exchange>,
    ) -> (Box<Exchange>, Result<Action, HookError>) {
        let pool = self.pool(plugin);
        let waiting = Waiting(Some(exchange));
        let leased = pool.lease(plugin).await;
        let exchange = waiting.over();
        let mut lease = match leased {
            Ok(lease) => lease,
            Err(fault) => return (exchange, Err(self.counted(fault, plugin))),
        };
        let (exchange, outcome) = lease.instance().hook(plugin, hook, exchange).await;
        let exchange = exchange.expect("the slot was filled for this hook and only its end empties it");
        match outcome {
            Ok(action) => {
                lease.give_back(plugin);
                (exchange, Ok(action))
            }
            Err(fault) => (exchange, Err(self.counted(fault, plugin))),
        }
    }

    pub(crate) fn pool(&self, plugin: &PluginUse) -> Rc<Pool> {
        let number = plugin.module().number();
        if let Some(pool) = self.pools.borrow().get(&number) {
            return Rc::clone(pool);
        }
        let config = &self.host.config;
        let bounds = Bounds {
            instances: config.instances_per_worker,
            idle: config.idle_instances,
            wait: config.instance_wait,
            high_water: config.memory / 2,
        };
        let live = self.live.borrow().get(&number).cloned();
        let pool = Pool::new(Arc::clone(plugin.module()), Arc::clone(&self.host.services), bounds, live);
        self.pools.borrow_mut().insert(number, Rc::clone(&pool));
        pool
    }

    pub(crate) fn counted(&self, fault: Fault, plugin: &PluginUse) -> HookError {
        fault.counted(plugin, self.host.services.now_seconds())
    }
}

/// An exchange whose hook waits for an instance.
struct Waiting(Option<Box<Exchange>>);

impl Waiting {
    fn over(mut self) -> Box<Exchange> {
        self.0.take().expect("only this end of the wait takes it")
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(exchange) = self.0.take() {
            exchange.go_home();
        }
    }
}
