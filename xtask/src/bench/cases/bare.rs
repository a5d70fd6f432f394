//! What a proxy costs that does nothing else.

use anyhow::Result;

use crate::bench::Options;
use crate::bench::case::Section;
use crate::bench::compare::Comparison;
use crate::bench::contender::{HAPROXY_BARE, MINIMAL, NGINX_BARE, OURS_BARE};
use crate::bench::goal::Goal;
use crate::bench::load::Load;
use crate::bench::rig::Rig;
use crate::bench::table;

pub fn measure(rig: &Rig, options: &Options) -> Result<Section> {
    let load = |_: &_| Load::http1(options.connections);
    let contenders = [NGINX_BARE, HAPROXY_BARE, MINIMAL, OURS_BARE];
    let results = Comparison { contenders: &contenders, load: &load }.run(rig, options)?;
    let over = |base, at_most| {
        let ratio = results.ratio(&OURS_BARE, &base);
        Goal::new(format!("CPU a request, tollgate bare over {}", base.name), ratio, ratio.median, at_most, "")
    };
    let goals = vec![over(MINIMAL, 1.08), over(NGINX_BARE, 1.2), over(NGINX_BARE, 1.2).shown_for("2.4")];
    let method = table::method(&results, options, &format!("{} keep-alive connections", options.connections));
    Ok(Section { text: table::comparison(&results, &[NGINX_BARE, MINIMAL]) + &method, goals })
}
