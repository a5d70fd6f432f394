//! What isolation of requests costs: each hook on an instance of its own, `configure` included.

use anyhow::Result;

use crate::bench::Options;
use crate::bench::case::Section;
use crate::bench::compare::Comparison;
use crate::bench::contender::{NGINX_BARE, OURS_BARE, OURS_CHAIN, OURS_FRESH};
use crate::bench::goal::Goal;
use crate::bench::load::Load;
use crate::bench::rig::Rig;
use crate::bench::table;

pub fn measure(rig: &Rig, options: &Options) -> Result<Section> {
    let load = |_: &_| Load::http1(options.connections);
    let contenders = [NGINX_BARE, OURS_BARE, OURS_CHAIN, OURS_FRESH];
    let results = Comparison { contenders: &contenders, load: &load }.run(rig, options)?;
    let added = results.within_rounds(&OURS_FRESH, &OURS_BARE, |fresh, bare| fresh.cpu_us - bare.cpu_us);
    let what = "CPU that the chain on fresh instances adds to tollgate bare";
    let goals = vec![Goal::new(what, format!("{added:.1} µs"), added.median, 60.0, " µs")];
    let method = table::method(&results, options, &format!("{} keep-alive connections", options.connections));
    Ok(Section { text: table::comparison(&results, &[NGINX_BARE, OURS_BARE]) + &method, goals })
}
