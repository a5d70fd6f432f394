//! What the number of routes costs a request. The same requests, spread over 100,000 paths, meet one route that takes
//! them all, and 100,000 that take one path each.

use anyhow::Result;

use crate::bench::Options;
use crate::bench::case::Section;
use crate::bench::compare::Comparison;
use crate::bench::contender::Contender;
use crate::bench::goal::Goal;
use crate::bench::load::Load;
use crate::bench::rig::Rig;
use crate::bench::table;

const ONE: Contender = Contender::routes("tollgate, 1 route", 1);
const MANY: Contender = Contender::routes("tollgate, 100,000 routes", ROUTES);
const ROUTES: usize = 100_000;

pub fn measure(rig: &Rig, options: &Options) -> Result<Section> {
    let load = |_: &_| Load::Http1 { connections: options.connections, tls: false, services: Some(ROUTES) };
    let results = Comparison { contenders: &[ONE, MANY], load: &load }.run(rig, options)?;
    let ratio = results.ratio(&MANY, &ONE);
    let goals = vec![Goal::new("CPU a request, 100,000 routes over 1", ratio, ratio.median, 1.05, "")];
    let method = table::method(&results, options, &format!("{} keep-alive connections", options.connections));
    Ok(Section { text: table::comparison(&results, &[ONE]) + &method, goals })
}
