use std::cell::RefCell;

thread_local! {
    /// Apart from any gateway, so that a name resolved for one is the same in another.
    static NAMES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

pub fn header(name: &str) -> u32 {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) { 0 } else { number(&name.to_ascii_lowercase()) }
}

pub fn key(name: &str) -> u32 {
    if name.is_empty() || name.len() > 64 { 0 } else { number(name) }
}

/// The name of a number that was handed out.
pub(crate) fn of(number: u32) -> String {
    let name = NAMES.with_borrow(|names| names.get((number as usize).wrapping_sub(1)).cloned());
    name.unwrap_or_else(|| panic!("name {number} was never handed out: the plugin would trap"))
}

fn number(name: &str) -> u32 {
    NAMES.with_borrow_mut(|names| {
        let at = names.iter().position(|known| known == name).unwrap_or_else(|| {
            names.push(name.to_owned());
            names.len() - 1
        });
        u32::try_from(at + 1).expect("tests name less")
    })
}
