use super::super::state::{Consumer, State, with};

pub fn find_key(key: u32) -> u32 {
    with(|state| {
        let key = state.read(key).to_vec();
        find(state, |consumer| consumer.keys.iter().any(|known| known.as_bytes() == key))
    })
}

pub fn find_anonymous(consumer: u32) -> u32 {
    with(|state| {
        let name = state.read(consumer).to_vec();
        find(state, |consumer| consumer.name.as_bytes() == name)
    })
}

pub fn authenticate(credential: u32) -> bool {
    if credential == 0 {
        return false;
    }
    with(|state| {
        let place = state.found.get(credential as usize - 1).copied();
        let place =
            place.unwrap_or_else(|| panic!("credential {credential} was not found in this hook: it would trap"));
        state.current().consumer = Some(place);
        true
    })
}

pub fn authenticated() -> bool {
    with(|state| state.current().consumer.is_some())
}

fn find(state: &mut State, wanted: impl Fn(&Consumer) -> bool) -> u32 {
    let Some(place) = state.consumers.iter().position(wanted) else { return 0 };
    state.found.push(place);
    u32::try_from(state.found.len()).expect("a hook finds fewer")
}
