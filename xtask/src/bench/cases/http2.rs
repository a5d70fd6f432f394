//! HTTP/2 with prior knowledge, in clear text, in front of an upstream that speaks HTTP/1.1.

use anyhow::Result;

use crate::bench::Options;
use crate::bench::case::Section;
use crate::bench::compare::Comparison;
use crate::bench::contender::{Contender, Listen, NGINX_BARE, OURS_BARE};
use crate::bench::goal::Goal;
use crate::bench::load::{Load, STREAMS};
use crate::bench::rig::Rig;
use crate::bench::table;

const NGINX: Contender = NGINX_BARE.named("nginx HTTP/2").reached_by(Listen::ClearHttp2);
const OURS: Contender = OURS_BARE.named("tollgate HTTP/2").reached_by(Listen::ClearHttp2);

pub fn measure(rig: &Rig, options: &Options) -> Result<Section> {
    let connections = options.http2_connections();
    let load = |_: &_| Load::Http2 { connections, tls: false };
    let results = Comparison { contenders: &[NGINX, OURS], load: &load }.run(rig, options)?;
    let ratio = results.ratio(&OURS, &NGINX);
    let goals = vec![Goal::new("CPU a request, HTTP/2, tollgate over nginx", ratio, ratio.median, 1.25, "")];
    let method = table::method(&results, options, &format!("{connections} connections of {STREAMS} streams"));
    Ok(Section { text: table::comparison(&results, &[NGINX]) + &method, goals })
}
