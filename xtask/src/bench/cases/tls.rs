//! TLS 1.3 with an ECDSA certificate, on connections that stay: HTTP/2, and HTTP/1.1.

use anyhow::Result;

use crate::bench::Options;
use crate::bench::case::Section;
use crate::bench::compare::Comparison;
use crate::bench::contender::{Contender, Listen, NGINX_BARE, OURS_BARE};
use crate::bench::goal::Goal;
use crate::bench::load::{Load, STREAMS};
use crate::bench::rig::Rig;
use crate::bench::table;

const NGINX_HTTP2: Contender = NGINX_BARE.named("nginx HTTP/2, TLS").reached_by(Listen::Tls);
const OURS_HTTP2: Contender = OURS_BARE.named("tollgate HTTP/2, TLS").reached_by(Listen::Tls);
const NGINX_HTTP1: Contender = NGINX_BARE.named("nginx HTTP/1.1, TLS").reached_by(Listen::Tls);
const OURS_HTTP1: Contender = OURS_BARE.named("tollgate HTTP/1.1, TLS").reached_by(Listen::Tls);

pub fn measure(rig: &Rig, options: &Options) -> Result<Section> {
    let connections = options.http2_connections();
    let load = |contender: &Contender| match *contender {
        NGINX_HTTP2 | OURS_HTTP2 => Load::Http2 { connections, tls: true },
        _ => Load::Http1 { connections: options.connections, tls: true, services: None },
    };
    let contenders = [NGINX_HTTP2, OURS_HTTP2, NGINX_HTTP1, OURS_HTTP1];
    let results = Comparison { contenders: &contenders, load: &load }.run(rig, options)?;
    let over = |what: &str, ours, base| {
        let ratio = results.ratio(&ours, &base);
        Goal::new(format!("CPU a request, {what}, tollgate over nginx"), ratio, ratio.median, 1.25, "")
    };
    let goals =
        vec![over("HTTP/2 over TLS", OURS_HTTP2, NGINX_HTTP2), over("HTTP/1.1 over TLS", OURS_HTTP1, NGINX_HTTP1)];
    let load = format!("{connections} connections of {STREAMS} streams, or {} of HTTP/1.1", options.connections);
    let method = table::method(&results, options, &load);
    Ok(Section { text: table::comparison(&results, &[NGINX_HTTP2, NGINX_HTTP1]) + &method, goals })
}
