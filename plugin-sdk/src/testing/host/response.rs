use super::super::message::{Fields, TestResponse};
use super::super::state::{Change, Current, Phase, State, with};
use super::names;
use super::request::{Edit, check};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Upstream,
    Plugin,
    Gateway,
}

pub fn answer(status: u16, body: &[u8]) {
    prepare(TestResponse { origin: crate::Origin::Plugin, ..TestResponse::new(status).with_body(body) });
}

pub fn refuse(status: u16, message: &str) {
    prepare(TestResponse::error(crate::Origin::Plugin, status, message));
}

fn prepare(response: TestResponse) {
    assert!((200..600).contains(&response.status), "{} is no final status: the plugin would trap", response.status);
    with(|state| {
        let phase = state.phase;
        assert!(
            matches!(phase, Phase::Request | Phase::RequestBody),
            "nothing can be answered in {phase:?}: it would trap"
        );
        state.current().prepared = Some(response);
    });
}

pub fn status() -> u16 {
    with(|state| state.current().response.as_ref().map_or(0, |response| response.status))
}

pub fn set_status(status: u16) -> Edit {
    with(|state| match state.current() {
        Current { response_sent: true, .. } => Edit::TooLate,
        Current { response: Some(response), .. } if (200..600).contains(&status) => {
            response.status = status;
            Edit::Done
        }
        _ => Edit::Invalid,
    })
}

pub fn origin_of() -> Origin {
    with(|state| match state.current().response.as_ref().map(|response| response.origin) {
        Some(crate::Origin::Upstream) => Origin::Upstream,
        Some(crate::Origin::Plugin) => Origin::Plugin,
        Some(crate::Origin::Gateway) => Origin::Gateway,
        None => panic!("there is no response yet: the plugin would trap"),
    })
}

pub fn header(name: u32) -> u32 {
    with(|state| {
        let found = fields(state).values(&names::of(name)).next().cloned();
        state.make_optional(found)
    })
}

pub fn header_values(name: u32) -> Vec<u32> {
    with(|state| {
        let found: Vec<_> = fields(state).values(&names::of(name)).cloned().collect();
        found.into_iter().map(|value| state.make(value)).collect()
    })
}

pub fn headers() -> Vec<(String, u32)> {
    with(|state| {
        let Fields(fields) = fields(state);
        fields.into_iter().map(|(name, value)| (name, state.make(value))).collect()
    })
}

pub fn set_header(name: u32, value: u32) -> Edit {
    with(|state| {
        let value = state.read(value).to_vec();
        change(state, Change::Set(names::of(name), value))
    })
}

pub fn set_header_bytes(name: u32, bytes: &[u8]) -> Edit {
    with(|state| change(state, Change::Set(names::of(name), bytes.to_vec())))
}

pub fn set_header_number(name: u32, number: i64) -> Edit {
    set_header_bytes(name, number.to_string().as_bytes())
}

pub fn append_header(name: u32, value: u32) -> Edit {
    with(|state| {
        let value = state.read(value).to_vec();
        change(state, Change::Append(names::of(name), value))
    })
}

pub fn append_header_bytes(name: u32, bytes: &[u8]) -> Edit {
    with(|state| change(state, Change::Append(names::of(name), bytes.to_vec())))
}

pub fn remove_header(name: u32) -> Edit {
    with(|state| change(state, Change::Remove(names::of(name))))
}

/// The response's fields, or those collected for it.
fn fields(state: &mut State) -> Fields {
    let current = state.current();
    match &current.response {
        Some(response) => response.headers.clone(),
        None => {
            let mut fields = Fields::default();
            current.collected.iter().for_each(|change| change.apply(&mut fields));
            fields
        }
    }
}

fn change(state: &mut State, change: Change) -> Edit {
    let checked = check(&change);
    let current = state.current();
    match &mut current.response {
        _ if current.response_sent => return Edit::TooLate,
        _ if checked != Edit::Done => {}
        Some(response) => change.apply(&mut response.headers),
        None => current.collected.push(change),
    }
    checked
}
