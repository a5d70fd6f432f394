//! What hooks take and return, as it lies in a guest's memory.

use wasmtime::bail;

use super::memory::{self, case, u32_at, u64_at};
use crate::batch::FinishedRequest;
use crate::module::Hooks;
use crate::plugin::Subscription;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Continue,
    Respond,
}

/// What a module says of itself, before any of it was checked.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) description: String,
    pub(crate) hooks: Hooks,
    pub(crate) capabilities: Vec<&'static str>,
    pub(crate) decides_access: bool,
    pub(crate) settings_schema: String,
}

#[derive(Clone, Debug)]
pub(crate) struct ConfigProblem {
    pub(crate) path: String,
    pub(crate) message: String,
}

impl Action {
    pub(crate) fn from_abi(number: u32) -> wasmtime::Result<Action> {
        case(&[Action::Continue, Action::Respond], number)
    }
}

/// The `manifest` at `start`.
pub(crate) fn manifest(memory: &[u8], start: u32) -> wasmtime::Result<Manifest> {
    let record = memory::bytes(memory, start, MANIFEST_SIZE)?;
    let mut taken = Taken { memory, left: RETURNED_BYTES };
    Ok(Manifest {
        name: taken.text(&record[0..])?,
        version: taken.text(&record[8..])?,
        description: taken.text(&record[16..])?,
        hooks: hooks(record[24]),
        capabilities: taken.list::<1, _>(&record[28..], |_, &[number]| case(&CAPABILITIES, number.into()))?,
        decides_access: record[36] != 0,
        settings_schema: taken.text(&record[40..])?,
    })
}

/// What `configure` returned at `start`.
pub(crate) fn accepted(memory: &[u8], start: u32) -> wasmtime::Result<Result<Subscription, Vec<ConfigProblem>>> {
    let record = memory::bytes(memory, start, ACCEPTED_SIZE)?;
    match record[0] {
        0 => Ok(Ok(Subscription {
            hooks: hooks(record[8]),
            request_body_limit: u64_at(record, 16),
            response_body_limit: u64_at(record, 24),
        })),
        1 => {
            let mut taken = Taken { memory, left: RETURNED_BYTES };
            let problems = taken.list::<16, _>(&record[8..], |taken, problem| {
                Ok(ConfigProblem { path: taken.text(problem)?, message: taken.text(&problem[8..])? })
            });
            Ok(Err(problems?))
        }
        other => bail!("{other} is neither a result nor an error"),
    }
}

/// A record of a batch, whose texts go to the end of `texts`.
pub(crate) fn log_record(request: &FinishedRequest<'_>, texts: &mut Vec<u8>) -> [u8; LOG_RECORD_SIZE] {
    let mut record = [0; LOG_RECORD_SIZE];
    let (numbers, rest) = record.split_at_mut(40);
    let (small, slices) = rest.split_at_mut(8);
    let numbers = numbers.as_chunks_mut().0.iter_mut().zip([
        request.started_at,
        request.duration,
        request.upstream_duration,
        request.request_bytes,
        request.response_bytes,
    ]);
    numbers.for_each(|(place, number): (&mut [u8; 8], u64)| *place = number.to_le_bytes());
    small[0..2].copy_from_slice(&request.status.to_le_bytes());
    small[2..4].copy_from_slice(&request.attempts.to_le_bytes());
    small[4] = request.aborted.into();
    let slices = slices.as_chunks_mut().0.iter_mut().zip([
        request.request_id,
        request.client_address,
        request.method,
        request.scheme,
        request.host,
        request.target,
        request.http_version,
        request.user_agent,
        request.route,
        request.service,
        request.upstream,
        request.consumer,
        request.fields,
    ]);
    slices.for_each(|(place, text): (&mut [u8; 8], &str)| {
        *place = (texts.len() as u64 | (text.len() as u64) << 32).to_le_bytes();
        texts.extend_from_slice(text.as_bytes());
    });
    record
}

/// What is copied out of a guest's memory: no more than so many bytes, however often it points to the same ones.
struct Taken<'a> {
    memory: &'a [u8],
    left: usize,
}

impl Taken<'_> {
    fn text(&mut self, list: &[u8]) -> wasmtime::Result<String> {
        self.charge(u32_at(list, 4) as usize)?;
        let text = memory::text(self.memory, u32_at(list, 0), u32_at(list, 4), RETURNED_BYTES)?;
        Ok(text.unwrap_or_default().to_owned())
    }

    fn list<const SIZE: usize, T>(
        &mut self,
        list: &[u8],
        mut element: impl FnMut(&mut Self, &[u8; SIZE]) -> wasmtime::Result<T>,
    ) -> wasmtime::Result<Vec<T>> {
        let records = memory::records::<SIZE>(self.memory, u32_at(list, 0), u32_at(list, 4))?;
        self.charge(records.len().saturating_mul(size_of::<T>()))?;
        records.iter().map(|record| element(self, record)).collect()
    }

    fn charge(&mut self, bytes: usize) -> wasmtime::Result<()> {
        match self.left.checked_sub(bytes) {
            Some(left) => self.left = left,
            None => bail!("what a hook returns may have {RETURNED_BYTES} bytes"),
        }
        Ok(())
    }
}

/// Bits that are none of the WIT's flags are ignored, as the canonical ABI has it.
fn hooks(flags: u8) -> Hooks {
    let flag = |bit: u8| flags >> bit & 1 == 1;
    Hooks { request: flag(0), request_body: flag(1), response: flag(2), response_body: flag(3), log: flag(4) }
}

const CAPABILITIES: [&str; 3] = ["credentials", "files", "standard-output"];
const RETURNED_BYTES: usize = 4 << 20;
const MANIFEST_SIZE: u32 = 48;
/// Of what `configure` returns: a discriminant and the larger of the two, eight bytes each aligned.
const ACCEPTED_SIZE: u32 = 32;
pub(crate) const LOG_RECORD_SIZE: usize = 152;

#[cfg(test)]
mod tests {
    use super::*;

    /// Memory in which `configure` returned so many problems, each of which points to the same text.
    fn refusal(problems: u32, text: u32) -> Vec<u8> {
        let mut memory = vec![b'x'; ACCEPTED_SIZE as usize + 16 * problems as usize + text as usize];
        let mut put = |at: usize, numbers: &[u32]| {
            let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            memory[at..at + bytes.len()].copy_from_slice(&bytes);
        };
        put(0, &[1, 0, ACCEPTED_SIZE, problems]);
        let start = ACCEPTED_SIZE + 16 * problems;
        for problem in 0..problems {
            put((ACCEPTED_SIZE + 16 * problem) as usize, &[start, 1, start, text]);
        }
        memory
    }

    #[test]
    fn what_is_returned_is_bounded_however_often_it_points_to_the_same() {
        let few = accepted(&refusal(3, 1 << 20), 0).unwrap().unwrap_err();
        assert_eq!((few.len(), few[2].path.as_str(), few[2].message.len()), (3, "x", 1 << 20));
        assert!(accepted(&refusal(4, 1 << 20), 0).is_err());
        assert!(accepted(&refusal(1 << 17, 0), 0).is_err(), "records count as well");
        let mut cut_short = refusal(3, 8);
        cut_short.truncate(ACCEPTED_SIZE as usize + 40);
        assert!(accepted(&cut_short, 0).is_err());
    }
}
