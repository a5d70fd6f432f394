//! A comparison as Markdown: medians, and the ratios to others within each round.

use std::fmt::Write as _;

use super::Options;
use super::compare::{Results, Sample, Spread};
use super::contender::Contender;

/// One row a contender, one column of ratios for each of `bases`.
pub fn comparison(results: &Results, bases: &[Contender]) -> String {
    let ratios: String = bases.iter().map(|base| format!(" × {} |", base.name)).collect();
    let rules = "---|".repeat(bases.len());
    let mut text = format!(
        "| | CPU µs a request |{ratios} requests/s | p50 ms | p99 ms | MiB |\n|---|---|{rules}---|---|---|---|\n"
    );
    for (contender, samples) in &results.0 {
        let ratios: String = bases.iter().map(|base| format!(" {} |", results.ratio(contender, base))).collect();
        let middle = |figure: fn(&Sample) -> f64| Spread::of(samples.iter().map(figure)).median;
        let _ = writeln!(
            text,
            "| {} | {:.1} |{ratios} {:.0} | {} | {} | {:.0} |",
            contender.name,
            middle(|sample| sample.cpu_us),
            middle(|sample| sample.load.rate),
            latency(samples, |sample| sample.load.p50),
            latency(samples, |sample| sample.load.p99),
            middle(|sample| sample.memory),
        );
    }
    text
}

/// The median of a latency over the rounds, if the client told it.
pub fn latency(samples: &[Sample], figure: fn(&Sample) -> Option<f64>) -> String {
    let known: Vec<f64> = samples.iter().filter_map(figure).collect();
    if known.is_empty() { "–".to_owned() } else { format!("{:.2}", Spread::of(known.into_iter()).median) }
}

/// How the figures came about.
pub fn method(results: &Results, options: &Options, load: &str) -> String {
    let Options { rounds, seconds, .. } = options;
    let noise = results.noise() * 100.0;
    format!(
        "\nMedians of {rounds} rounds of {seconds} s, least and most in brackets; {load}; bodies of 1 KiB; other \
         programs took {noise:.0} % of a core at most.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::super::contender::{LUA_CHAIN, NGINX_BARE, OURS_CHAIN};
    use super::super::load::Figures;
    use super::*;

    #[test]
    fn ratios_are_taken_within_a_round() {
        let samples = |figures: [f64; 3]| {
            let load = Figures { requests: 1, rate: 1000.0, p50: Some(1.0), p99: None, p999: None, failed: 0 };
            figures.map(|cpu_us| Sample { load: load.clone(), cpu_us, memory: 20.0, noise: 0.0 }).to_vec()
        };
        // The machine slows down three times over; the ratio hardly moves.
        let results = Results(vec![
            (NGINX_BARE, samples([10.0, 20.0, 30.0])),
            (LUA_CHAIN, samples([20.0, 40.0, 60.0])),
            (OURS_CHAIN, samples([15.0, 28.0, 48.0])),
        ]);
        let table = comparison(&results, &[NGINX_BARE, LUA_CHAIN]);
        let row = "| tollgate chain | 28.0 | 1.50 (1.40 – 1.60) | 0.75 (0.70 – 0.80) | 1000 | 1.00 | – | 20 |";
        assert!(table.contains(row), "{table}");
        assert!(table.starts_with("| | CPU µs a request | × nginx bare | × nginx + Lua chain | requests/s"), "{table}");
    }
}
