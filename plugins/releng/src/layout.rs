//! How a dashboard shows the log: statscache's structure, which its front ends read.

use statmill_plugin_api::serde_json::{Value as Json, json};

pub(crate) fn layout() -> Json {
    json!({
        "groups": [
            {
                "id": "compose",
                "components": [
                    { "id": "compose-rawhide_primary", "name": "Rawhide Compose (Primary)" },
                    { "id": "compose-rawhide_arm", "name": "Rawhide Compose (arm)" },
                    { "id": "compose-rawhide_ppc", "name": "Rawhide Compose (ppc)" },
                    { "id": "compose-rawhide_s390", "name": "Rawhide Compose (s390)" },
                ],
            },
            {
                "id": "updates",
                "components": [
                    { "id": "updates-fedora", "name": "Repo Updates (Fedora)" },
                    { "id": "updates-epel", "name": "Repo Updates (Fedora)" },
                ],
            },
            {
                "id": "amis",
                "components": [
                    images("ami-branched", "AMIs (branched)", "name"),
                    images("ami-rawhide", "AMIs (rawhide)", "message"),
                ],
            },
            {
                "id": "appliance",
                "name": "Appliance builds (rawhide)",
                "components": [{
                    "id": "artifact-appliance_armhfp",
                    "name": "armhfp",
                    "show_status": false,
                    "show_time_at": false,
                }],
            },
            {
                "id": "livecd",
                "name": "LiveCD builds (rawhide)",
                "components": [live_image("x86_64"), live_image("i686")],
            },
        ],
        "default_options": {
            "show_time_at": true,
            "show_status": true,
            "status_verb_map": {
                "complete": "completed",
                "start": "started",
                "open": "opened",
                "close": "closed",
            },
            "status_class_map": {
                "complete": "text-primary",
                "start": "text-warning",
                "failed": "text-danger",
                "closed": "text-primary",
                "open": "text-warning",
                "opened": "text-warning",
            },
            "old_log_threshold": { "key": "hours", "value": 24 },
        },
    })
}

fn images(id: &str, name: &str, link_for: &str) -> Json {
    json!({ "id": id, "name": name, "link_for": link_for, "show_time_at": false })
}

fn live_image(arch: &str) -> Json {
    json!({ "id": format!("artifact-livecd_{arch}"), "name": arch, "show_time_at": false })
}

#[cfg(test)]
mod tests {
    use statmill_plugin_api::testing;

    use super::*;
    use crate::EventLogs;

    #[test]
    fn the_manifest_has_it() {
        let manifest = testing::fold::<EventLogs>(&[]).manifest().clone();
        assert_eq!(manifest.layout, layout());
        assert_eq!(manifest.layout["groups"][4]["components"][0]["id"], "artifact-livecd_x86_64");
    }
}
