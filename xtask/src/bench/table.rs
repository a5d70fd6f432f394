//! Figures as Markdown: medians, and the ratios to nginx within each round.

use std::fmt::Write as _;

use super::case::Case;
use super::{Results, Sample};

/// One row a case.
pub fn markdown(results: &Results) -> String {
    let mut text =
        "| | CPU µs a request | × nginx bare (min – max) | × nginx + Lua chain | requests/s | p50 ms | p99 ms |\n\
                    |---|---|---|---|---|---|---|\n"
            .to_owned();
    for (case, samples) in results {
        let middle = |figure: fn(&Sample) -> f64| median(samples.iter().map(figure));
        let _ = writeln!(
            text,
            "| {} | {:.1} | {} | {:.2} | {:.0} | {:.2} | {:.2} |",
            case.name(),
            middle(|sample| sample.cpu_us),
            Ratio::of(results, *case, Case::NginxBare),
            Ratio::of(results, *case, Case::LuaChain).median,
            middle(|sample| sample.load.rate),
            middle(|sample| sample.load.p50),
            middle(|sample| sample.load.p99),
        );
    }
    text
}

/// The lines that `prove` collects.
pub fn proofs(results: &Results) -> Vec<String> {
    let pairs = [
        (Case::OursBare, Case::NginxBare),
        (Case::OursChain, Case::NginxBare),
        (Case::OursChain, Case::NginxChain),
        (Case::OursChain, Case::LuaChain),
    ];
    let line = |(case, base): &(Case, Case)| {
        let ratio = Ratio::of(results, *case, *base);
        format!("PROOF 2.4 | CPU a request, {} over {} | {ratio}", case.name(), base.name())
    };
    pairs.iter().map(line).collect()
}

/// How many times the CPU of another case a case takes, over the rounds.
struct Ratio {
    median: f64,
    least: f64,
    most: f64,
}

impl Ratio {
    fn of(results: &Results, case: Case, base: Case) -> Self {
        let samples =
            |wanted: Case| results.iter().filter(move |(case, _)| *case == wanted).flat_map(|(_, samples)| samples);
        let ratios: Vec<f64> = samples(case).zip(samples(base)).map(|(case, base)| case.cpu_us / base.cpu_us).collect();
        Ratio {
            median: median(ratios.iter().copied()),
            least: ratios.iter().copied().fold(f64::INFINITY, f64::min),
            most: ratios.iter().copied().fold(0.0, f64::max),
        }
    }
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:.2} ({:.2} – {:.2})", self.median, self.least, self.most)
    }
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = figures.collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::super::load::Figures;
    use super::*;

    #[test]
    fn ratios_are_taken_within_a_round() {
        let samples = |figures: [f64; 3]| {
            let load = Figures { requests: 1, rate: 1000.0, p50: 1.0, p99: 2.0, failed: 0 };
            figures.map(|cpu_us| Sample { load: load.clone(), cpu_us, noise: 0.0 }).to_vec()
        };
        // The machine slows down three times over; the ratio hardly moves.
        let results: Results = vec![
            (Case::NginxBare, samples([10.0, 20.0, 30.0])),
            (Case::LuaChain, samples([20.0, 40.0, 60.0])),
            (Case::OursChain, samples([15.0, 28.0, 48.0])),
        ];
        let table = markdown(&results);
        assert!(
            table.contains("| tollgate chain | 28.0 | 1.50 (1.40 – 1.60) | 0.75 | 1000 | 1.00 | 2.00 |"),
            "{table}"
        );
        assert_eq!(
            proofs(&results)[1],
            "PROOF 2.4 | CPU a request, tollgate chain over nginx bare | 1.50 (1.40 – 1.60)"
        );
    }

    #[test]
    fn the_median_of_an_even_count_lies_between() {
        assert_eq!(median([4.0, 1.0, 3.0, 2.0].into_iter()), 2.5);
        assert_eq!(median(std::iter::empty()), 0.0);
    }
}
