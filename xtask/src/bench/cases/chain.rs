//! What policies cost: a key among 1,000, a rate limit per consumer, one JSON line a request in a file.

use anyhow::Result;

use crate::bench::Options;
use crate::bench::case::Section;
use crate::bench::compare::Comparison;
use crate::bench::contender::{HAPROXY_CHAIN, LUA_CHAIN, NGINX_BARE, NGINX_CHAIN, OURS_BARE, OURS_CHAIN};
use crate::bench::goal::Goal;
use crate::bench::load::Load;
use crate::bench::rig::Rig;
use crate::bench::table;

pub fn measure(rig: &Rig, options: &Options) -> Result<Section> {
    let load = |_: &_| Load::http1(options.connections);
    let contenders = [NGINX_BARE, NGINX_CHAIN, LUA_CHAIN, HAPROXY_CHAIN, OURS_BARE, OURS_CHAIN];
    let results = Comparison { contenders: &contenders, load: &load }.run(rig, options)?;
    let over = |base, at_most| {
        let ratio = results.ratio(&OURS_CHAIN, &base);
        Goal::new(format!("CPU a request, tollgate chain over {}", base.name), ratio, ratio.median, at_most, "")
    };
    let added = results.within_rounds(&OURS_CHAIN, &OURS_BARE, |chain, bare| chain.cpu_us - bare.cpu_us);
    let goals = vec![
        over(LUA_CHAIN, 0.8),
        over(NGINX_BARE, 1.45),
        Goal::new("CPU that the chain adds to tollgate bare", format!("{added:.1} µs"), added.median, 4.0, " µs"),
        over(LUA_CHAIN, 0.8).shown_for("2.4"),
        over(NGINX_BARE, 1.45).shown_for("2.4"),
    ];
    let method = table::method(&results, options, &format!("{} keep-alive connections", options.connections));
    Ok(Section { text: table::comparison(&results, &[NGINX_BARE, LUA_CHAIN]) + &method, goals })
}
