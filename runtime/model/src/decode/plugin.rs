use std::path::{Component, PathBuf};

use serde_json::Value;

use super::{Decode, Fields, Place, PositiveTime, one_of};
use crate::entity::{Grants, Isolation, OnError, Plugin, PluginLimits};
use crate::problem::{Complaint, Problem};
use crate::{Name, Problems};

impl Decode for Plugin {
    const ITEM: &'static str = "{ … }";

    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Plugin> {
        let mut fields = Fields::open(value, place, problems);
        let name: Option<Name> = fields.required("name");
        let module: Option<Name> = fields.maybe("module");
        let config = fields.maybe("config").unwrap_or_default();
        let on_error = fields.maybe("on_error").unwrap_or_default();
        let isolation = fields.maybe("isolation").unwrap_or_default();
        let grants: Grants = fields.maybe("grants").unwrap_or_default();
        let limits = fields.maybe("limits").unwrap_or_default();
        let tags = fields.optional("tags", Vec::new());
        if on_error == OnError::Open && grants.credentials {
            fields.refuse(
                "on_error",
                Complaint::new(
                    "a plugin that decides who calls can't be skipped when it fails",
                    "take \"closed\", or the grant of `credentials` away",
                ),
            );
        }
        fields.finish()?;
        let name = name?;
        let module = module.unwrap_or_else(|| name.clone());
        Some(Plugin { name, module, config, on_error, isolation, grants, limits, tags })
    }
}

impl Decode for OnError {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<OnError> {
        one_of(value, place, problems, &[("closed", OnError::Closed), ("open", OnError::Open)])
    }
}

impl Decode for Isolation {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Isolation> {
        one_of(value, place, problems, &[("shared", Isolation::Shared), ("request", Isolation::Request)])
    }
}

impl Decode for Grants {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Grants> {
        let mut fields = Fields::open(value, place, problems);
        let credentials = fields.optional("credentials", false);
        let files = fields.optional::<Vec<GrantedFile>>("files", Vec::new());
        let standard_output = fields.optional("standard_output", false);
        fields.finish()?;
        Some(Grants { credentials, files: files.into_iter().map(|file| file.0).collect(), standard_output })
    }
}

/// A path that says plainly which file it is.
struct GrantedFile(PathBuf);

impl Decode for GrantedFile {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<GrantedFile> {
        let path = PathBuf::decode(value, place, problems)?;
        if path.components().any(|component| component == Component::ParentDir) || path.file_name().is_none() {
            let hint = "write it from the data folder, as in \"access.log\", or from the root";
            problems
                .add(Problem::new(place, "a granted file has no `..` in its path and is no folder").with_hint(hint));
            return None;
        }
        Some(GrantedFile(path))
    }
}

impl Decode for PluginLimits {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<PluginLimits> {
        let mut fields = Fields::open(value, place, problems);
        let mut limit = |key| fields.maybe(key).map(|PositiveTime(time)| time);
        let limits = PluginLimits { cpu: limit("cpu"), wall: limit("wall") };
        fields.finish()?;
        Some(limits)
    }
}
