//! pingora, the other proxy library in Rust, beside nginx and the gateway.

use anyhow::Result;

use crate::bench::Options;
use crate::bench::case::Section;
use crate::bench::compare::Comparison;
use crate::bench::contender::{NGINX_BARE, OURS_BARE, PINGORA};
use crate::bench::load::Load;
use crate::bench::rig::Rig;
use crate::bench::table;

pub fn measure(rig: &Rig, options: &Options) -> Result<Section> {
    let load = |_: &_| Load::http1(options.connections);
    let contenders = [NGINX_BARE, PINGORA, OURS_BARE];
    let results = Comparison { contenders: &contenders, load: &load }.run(rig, options)?;
    let method = table::method(&results, options, &format!("{} keep-alive connections", options.connections));
    Ok(Section { text: table::comparison(&results, &[NGINX_BARE, PINGORA]) + &method, goals: Vec::new() })
}
