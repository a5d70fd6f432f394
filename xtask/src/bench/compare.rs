//! Contenders side by side: every round measures each of them once, each round starting with another one, so that a
//! slow moment of the machine hits all of them. Ratios are taken within a round.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::Options;
use super::contender::Contender;
use super::cpu::{Busy, CpuTime};
use super::load::{Figures, Load};
use super::rig::{Cores, Rig};
use super::server::Server;

/// Work of other programs on the bench's cores above this share of one core spoils a figure, which is then measured
/// again, up to [`TRIES`] times; the quietest counts.
const NOISE: f64 = 0.06;
const TRIES: usize = 4;
/// Measuring again may double the time that a comparison takes; from then on figures are taken as they come.
const PATIENCE: u32 = 2;
/// Load before each measurement: pools fill, files open.
const WARM_UP: Duration = Duration::from_secs(2);

/// What is compared, and under which load.
pub struct Comparison<'a> {
    pub contenders: &'a [Contender],
    pub load: &'a dyn Fn(&Contender) -> Load,
}

/// What one measurement of one contender gave.
#[derive(Debug, Clone)]
pub struct Sample {
    pub load: Figures,
    /// CPU time of the contender's processes per request, in µs.
    pub cpu_us: f64,
    /// Resident memory after the load, in MiB.
    pub memory: f64,
    /// CPU time that programs outside the bench took on its cores, as a share of one core.
    pub noise: f64,
}

/// Samples of each contender, in the order of rounds.
#[derive(Debug, Clone)]
pub struct Results(pub Vec<(Contender, Vec<Sample>)>);

impl Comparison<'_> {
    pub fn run(&self, rig: &Rig, options: &Options) -> Result<Results> {
        let workers = self.contenders.iter().map(|contender| contender.workers).max().unwrap_or(1);
        let cores = Cores::for_workers(workers);
        let upstream = rig.start_upstream(&cores)?;
        let one = Duration::from_secs(options.seconds) + WARM_UP + Duration::from_secs(1);
        let runs = u32::try_from(options.rounds * self.contenders.len()).unwrap_or(u32::MAX);
        let patient_until = Instant::now() + one * runs * PATIENCE;
        let mut results: Vec<_> = self.contenders.iter().map(|contender| (*contender, Vec::new())).collect();
        for round in 0..options.rounds {
            for turn in 0..results.len() {
                let index = (round + turn) % results.len();
                let (contender, samples) = &mut results[index];
                let run = One { rig, cores: &cores, upstream: &upstream, options, contender };
                let sample = run.measure_quietly(&(self.load)(contender), patient_until)?;
                eprintln!(
                    "  round {} {:<32} {:7.2} µs CPU a request, {:.0} requests/s, {:.0} % foreign load",
                    round + 1,
                    contender.name,
                    sample.cpu_us,
                    sample.load.rate,
                    sample.noise * 100.0
                );
                samples.push(sample);
            }
        }
        Ok(Results(results))
    }
}

/// One measurement of one contender.
struct One<'a> {
    rig: &'a Rig,
    cores: &'a Cores,
    upstream: &'a Server,
    options: &'a Options,
    contender: &'a Contender,
}

impl One<'_> {
    /// Measures until the machine was quiet meanwhile; otherwise takes the quietest of a few tries.
    fn measure_quietly(&self, load: &Load, patient_until: Instant) -> Result<Sample> {
        let mut best = self.measure(load)?;
        for _ in 1..TRIES {
            if best.noise <= NOISE || Instant::now() > patient_until {
                break;
            }
            let again = self.measure(load)?;
            if again.noise < best.noise {
                best = again;
            }
        }
        Ok(best)
    }

    fn measure(&self, load: &Load) -> Result<Sample> {
        let gateway = self.rig.start(self.contender, self.cores, self.upstream)?;
        let run = |time| load.run(self.rig, &self.cores.load, gateway.port, time);
        run(WARM_UP)?;
        let look =
            || Ok::<_, anyhow::Error>((CpuTime::of_tree(gateway.pid())?, CpuTime::of_tree(self.upstream.pid())?));
        let (busy, (used, ours)) = (Busy::now(&self.cores.all)?, look()?);
        let figures = run(Duration::from_secs(self.options.seconds))?;
        let (used_then, ours_then) = look()?;
        let (used, ours) = (used_then.since(&used), ours_then.since(&ours));
        let noise = Busy::now(&self.cores.all)?.foreign_share(&busy, used + ours);
        if figures.failed > 0 || figures.requests == 0 {
            let (name, failed, log) = (self.contender.name, figures.failed, gateway.log.display());
            bail!("{name}: {failed} requests failed, so its figures mean nothing; see {log}");
        }
        let memory = super::memory::of_tree(gateway.pid())?.resident;
        Ok(Sample { cpu_us: used.as_secs_f64() * 1e6 / figures.requests as f64, load: figures, memory, noise })
    }
}

impl Results {
    pub fn of(&self, contender: &Contender) -> &[Sample] {
        self.0.iter().find(|(other, _)| other.name == contender.name).map_or(&[], |(_, samples)| samples)
    }

    /// A figure of a contender made of one of another's, within each round.
    pub fn within_rounds(&self, a: &Contender, b: &Contender, figure: impl Fn(&Sample, &Sample) -> f64) -> Spread {
        Spread::of(self.of(a).iter().zip(self.of(b)).map(|(a, b)| figure(a, b)))
    }

    /// How many times the CPU of another contender one takes.
    pub fn ratio(&self, contender: &Contender, base: &Contender) -> Spread {
        self.within_rounds(contender, base, |contender, base| contender.cpu_us / base.cpu_us)
    }

    /// The loudest moment: see [`Sample::noise`].
    pub fn noise(&self) -> f64 {
        self.0.iter().flat_map(|(_, samples)| samples).map(|sample| sample.noise).fold(0.0, f64::max)
    }
}

/// The middle of some figures, and how far apart they lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    pub fn of(figures: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.collect();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = match sorted.len() {
            0 => 0.0,
            odd if odd % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        };
        Spread {
            median,
            least: sorted.first().copied().unwrap_or_default(),
            most: sorted.last().copied().unwrap_or_default(),
        }
    }
}

/// With as many digits as the format asks for, two by default.
impl std::fmt::Display for Spread {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = out.precision().unwrap_or(2);
        let Spread { median, least, most } = self;
        write!(out, "{median:.digits$} ({least:.digits$} – {most:.digits$})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_count_lies_between() {
        assert_eq!(Spread::of([4.0, 1.0, 3.0, 2.0].into_iter()).to_string(), "2.50 (1.00 – 4.00)");
        assert_eq!(format!("{:.0}", Spread::of([40.0].into_iter())), "40 (40 – 40)");
        assert_eq!(Spread::of(std::iter::empty()).median, 0.0);
    }
}
