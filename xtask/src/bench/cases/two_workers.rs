//! Two workers: whether what one worker costs stays what it costs.

use anyhow::Result;

use crate::bench::Options;
use crate::bench::case::Section;
use crate::bench::compare::Comparison;
use crate::bench::contender::{Contender, LUA_CHAIN, MINIMAL, NGINX_BARE, OURS_BARE, OURS_CHAIN};
use crate::bench::goal::Goal;
use crate::bench::load::Load;
use crate::bench::rig::{Cores, Rig};
use crate::bench::table;

const NGINX: Contender = NGINX_BARE.named("nginx bare, 2 workers").with_workers(2);
const LUA: Contender = LUA_CHAIN.named("nginx + Lua chain, 2 workers").with_workers(2);
const HYPER: Contender = MINIMAL.named("minimal hyper proxy, 2 workers").with_workers(2);
const BARE: Contender = OURS_BARE.named("tollgate bare, 2 workers").with_workers(2);
const CHAIN: Contender = OURS_CHAIN.named("tollgate chain, 2 workers").with_workers(2);

pub fn measure(rig: &Rig, options: &Options) -> Result<Section> {
    let load = |_: &_| Load::http1(options.connections);
    let contenders = [NGINX, LUA, HYPER, BARE, CHAIN];
    let results = Comparison { contenders: &contenders, load: &load }.run(rig, options)?;
    let over = |ours: Contender, base: Contender, at_most| {
        let ratio = results.ratio(&ours, &base);
        Goal::new(format!("CPU a request, {} over {}", ours.name, base.name), ratio, ratio.median, at_most, "")
    };
    let goals = vec![over(BARE, HYPER, 1.08), over(BARE, NGINX, 1.2), over(CHAIN, LUA, 0.8), over(CHAIN, NGINX, 1.45)];
    let cores = Cores::for_workers(2);
    let shared = if cores.gateway == cores.load { ", which share the workers' cores" } else { "" };
    let load = format!("{} keep-alive connections{shared}", options.connections);
    let method = table::method(&results, options, &load);
    Ok(Section { text: table::comparison(&results, &[NGINX, LUA]) + &method, goals })
}
