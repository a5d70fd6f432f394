//! pingora as a plain proxy: `pingora-proxy-peer <port> <upstream port> <workers>`.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use pingora_core::server::Server;
use pingora_core::server::configuration::ServerConf;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorType, Result};
use pingora_proxy::{ProxyHttp, Session};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Plain {
    upstream: SocketAddr,
}

#[async_trait]
impl ProxyHttp for Plain {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.upstream, false, String::new())))
    }
}

fn main() -> Result<()> {
    let numbers: Vec<u16> = std::env::args().skip(1).filter_map(|number| number.parse().ok()).collect();
    let [port, upstream, workers] = numbers[..] else {
        return Error::e_explain(
            ErrorType::InternalError,
            "usage: pingora-proxy-peer <port> <upstream port> <workers>",
        );
    };
    let settings = ServerConf {
        threads: workers.into(),
        upstream_keepalive_pool_size: 256,
        // Seconds; otherwise it waits five minutes for its end.
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(1),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, settings);
    server.bootstrap();
    let upstream = SocketAddr::from((Ipv4Addr::LOCALHOST, upstream));
    let mut proxy = pingora_proxy::http_proxy_service(&Arc::clone(&server.configuration), Plain { upstream });
    proxy.add_tcp(&format!("127.0.0.1:{port}"));
    server.add_service(proxy);
    server.run_forever();
}
