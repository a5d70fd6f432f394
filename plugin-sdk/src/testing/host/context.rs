use super::super::state::with;

const MOST_ENTRIES: usize = 64;
const MOST_BYTES: usize = 64 * 1024;

pub fn get(key: u32) -> u32 {
    with(|state| {
        let found = state.current().context.get(&key).cloned();
        state.make_optional(found)
    })
}

pub fn set(key: u32, value: u32) -> bool {
    let bytes = with(|state| state.read(value).to_vec());
    set_bytes(key, &bytes)
}

pub fn set_bytes(key: u32, bytes: &[u8]) -> bool {
    with(|state| {
        let context = &mut state.current().context;
        let others = context.iter().filter(|(other, _)| **other != key);
        let (count, size) = others.fold((0, 0), |(count, size), (_, value)| (count + 1, size + value.len()));
        let fits = count < MOST_ENTRIES && size + bytes.len() <= MOST_BYTES;
        if fits {
            context.insert(key, bytes.to_vec());
        }
        fits
    })
}

pub fn get_number(key: u32) -> i64 {
    let bytes = with(|state| state.current().context.get(&key).cloned()).unwrap_or_default();
    std::str::from_utf8(&bytes).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

pub fn set_number(key: u32, number: i64) -> bool {
    set_bytes(key, number.to_string().as_bytes())
}
