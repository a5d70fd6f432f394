//! The module's exports. Nothing here is for plugin authors; [`export!`](crate::export) uses it.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;

use crate::{Plugin, Problem, Problems, Subscription};

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code, unused_qualifications, clippy::all)]
pub mod bindings {
    wit_bindgen::generate!({ path: "wit/v0.1", world: "plugin", pub_export_macro: true });
}
#[cfg(target_arch = "wasm32")]
mod exports;
#[cfg(all(target_arch = "wasm32", feature = "allocator"))]
mod heap;
#[cfg(target_arch = "wasm32")]
pub use exports::{Module, Package, Uses};

/// Makes the type the plugin of this module. Once, at the root of the crate.
#[macro_export]
macro_rules! export {
    ($plugin:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct ThisModule;

            impl $crate::guest::Module for ThisModule {
                type Plugin = $plugin;

                const PACKAGE: $crate::guest::Package = $crate::guest::Package {
                    name: ::core::env!("CARGO_PKG_NAME"),
                    version: ::core::env!("CARGO_PKG_VERSION"),
                    description: ::core::env!("CARGO_PKG_DESCRIPTION"),
                };

                fn uses() -> &'static ::std::thread::LocalKey<$crate::guest::Uses<$plugin>> {
                    ::std::thread_local! {
                        static USES: $crate::guest::Uses<$plugin> = const { $crate::guest::Uses::new() };
                    }
                    &USES
                }
            }

    $crate::guest::bindings::export!(ThisModule with_types_in $crate::guest::bindings);
        };

        // Natively nothing is exported, but a type that is no plugin should not compile either.
        #[cfg(not(target_arch = "wasm32"))]
        const _: () = $crate::guest::is_plugin::<$plugin>();
    };
}

pub const fn is_plugin<P: Plugin>() {}

/// Settings as the gateway hands them over → a configured use.
pub(crate) fn configure<P: Plugin>(settings: &[u8]) -> Result<(P, Subscription), Problems> {
    let plugin = P::configure(decode(settings)?)?;
    let subscription = plugin.subscription();
    Ok((plugin, subscription))
}

fn decode<S: serde::de::DeserializeOwned>(settings: &[u8]) -> Result<S, Problem> {
    let mut json = serde_json::Deserializer::from_slice(settings);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = Some(error.path().to_string()).filter(|path| path != ".").unwrap_or_default();
        Problem::at(path, without_position(error.inner().to_string()))
    })
}

/// The settings come from TOML or the admin API: a line and column of their JSON form would only
/// mislead.
fn without_position(mut message: String) -> String {
    if let Some(at) = message.rfind(" at line ") {
        message.truncate(at);
    }
    message
}

/// JSON Schema (2020-12) of the plugin's settings, as JSON text.
pub(crate) fn schema<P: Plugin>() -> String {
    let schema = SchemaGenerator::new(SchemaSettings::draft2020_12()).into_root_schema_for::<P::Settings>();
    schema.as_value().to_string()
}
