//! The rows of the table that the gateway is held to, each a case that one can choose by name.

use anyhow::Result;
use clap::ValueEnum;

use super::goal::Goal;
use super::rig::Rig;
use super::{Options, cases};

/// What can be measured. The order is that of the results file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Case {
    /// A plain proxy over HTTP/1.1: nginx, HAProxy, a minimal hyper proxy, the gateway.
    Bare,
    /// A key among 1,000, a rate limit and an access log: nginx, nginx + Lua, HAProxy, the gateway.
    Chain,
    /// The chain with a fresh instance of each plugin for every hook.
    Fresh,
    /// HTTP/2 in clear text.
    Http2,
    /// HTTP/2 and HTTP/1.1 over TLS.
    Tls,
    /// Two workers on two cores.
    TwoWorkers,
    /// One route against 100,000, requests spread over all of them.
    Routes,
    /// One more route among 10,000, through the file and under load.
    AddRoute,
    /// Latencies at 5,000 requests a second, open loop.
    Latency,
    /// Memory at rest with the chain and 1,000 keys.
    Memory,
    /// Memory of 10,000 idle keep-alive connections.
    Connections,
    /// pingora as a plain proxy; compiles it first. By name only.
    Pingora,
    /// Micro benches: router, fields, host calls, chains, limiter. By name only.
    Micro,
    /// Instructions a request, bare and with the chain, by function, under valgrind. By name only.
    Callgrind,
}

/// What a case showed.
#[derive(Debug, Clone)]
pub struct Section {
    /// Markdown: tables and remarks.
    pub text: String,
    pub goals: Vec<Goal>,
}

impl Section {
    /// The whole text, with what was held to its goal.
    pub fn with_head(&self, head: &str) -> String {
        let goals = self.goals.iter().filter(|goal| goal.is_of_table()).map(|goal| format!("{goal}\n"));
        format!("{head}{}\n{}", self.text, goals.collect::<String>())
    }
}

impl Case {
    /// Those that run when none is named: all that take minutes and compile nothing but the gateway.
    pub fn usual() -> Vec<Case> {
        let by_name_only = [Case::Pingora, Case::Micro, Case::Callgrind];
        Case::value_variants().iter().copied().filter(|case| !by_name_only.contains(case)).collect()
    }

    /// As on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// The heading in the results file.
    pub fn title(self) -> &'static str {
        match self {
            Case::Bare => "Bare proxy, HTTP/1.1",
            Case::Chain => "Chain: key, rate limit, access log",
            Case::Fresh => "Chain with a fresh instance for every hook",
            Case::Http2 => "HTTP/2 in clear text",
            Case::Tls => "TLS",
            Case::TwoWorkers => "Two workers",
            Case::Routes => "Routes",
            Case::AddRoute => "One more route among 10,000",
            Case::Latency => "Latency at a steady rate",
            Case::Memory => "Memory at rest",
            Case::Connections => "Idle connections",
            Case::Pingora => "pingora",
            Case::Micro => "Micro benches",
            Case::Callgrind => "Instructions a request",
        }
    }

    pub fn measure(self, rig: &Rig, options: &Options) -> Result<Section> {
        match self {
            Case::Bare => cases::bare::measure(rig, options),
            Case::Chain => cases::chain::measure(rig, options),
            Case::Fresh => cases::fresh::measure(rig, options),
            Case::Http2 => cases::http2::measure(rig, options),
            Case::Tls => cases::tls::measure(rig, options),
            Case::TwoWorkers => cases::two_workers::measure(rig, options),
            Case::Routes => cases::routes::measure(rig, options),
            Case::AddRoute => cases::add_route::measure(rig, options),
            Case::Latency => cases::latency::measure(rig, options),
            Case::Memory => cases::memory::measure(rig),
            Case::Connections => cases::connections::measure(rig),
            Case::Pingora => cases::pingora::measure(rig, options),
            Case::Micro => cases::micro::measure(rig, options),
            Case::Callgrind => cases::callgrind::measure(rig),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line() {
        let names: Vec<String> = Case::value_variants().iter().map(|case| case.name()).collect();
        assert_eq!(names[..6], ["bare", "chain", "fresh", "http2", "tls", "two-workers"]);
        assert!(!Case::usual().contains(&Case::Callgrind) && Case::usual().contains(&Case::Connections));
    }
}
