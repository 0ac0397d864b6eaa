//! Installable artifacts: live images and appliances that the build system makes each night.

use serde::Deserialize;
use statmill_plugin_api::serde_json::{self, Value as Json, json};

use crate::Event;
use crate::event::Logged;

/// Who builds them.
const BUILDER: &str = "masher";
const LIVE_IMAGE: &str = "livecd";
const APPLIANCE: &str = "appliance";
const TASKS: &str = "https://kojipkgs.fedoraproject.org/work/tasks";

/// What the build system says of its task.
#[derive(Deserialize)]
struct Info {
    /// Name, version (the branch), and more; options at the end.
    request: Vec<Json>,
    #[serde(default)]
    children: Json,
    #[serde(default)]
    result: Json,
}

pub(crate) fn event(message: &Event<'_>) -> Option<Logged> {
    let method = message.method().filter(|method| [APPLIANCE, LIVE_IMAGE].contains(method))?;
    if message.owner() != Some(BUILDER) {
        return None;
    }
    let (srpm, state) = (message.srpm()?, message.state()?);
    let info: Info = serde_json::from_slice(message.info()?).ok()?;
    let arch = srpm.rsplit('-').next()?;
    let name = name(srpm, &info)?;
    let link = (method == LIVE_IMAGE && state == "CLOSED").then(|| link(&info)).flatten();
    Some(Logged {
        category: format!("artifact-{method}_{arch}"),
        message: json!({
            "name": name,
            "link": link,
            "status": state,
            "extra_text": "(details)",
            "extra_link": message.link(),
        }),
        thing: name,
    })
}

/// The source package with the format, where there is one, and the branch.
fn name(srpm: &str, info: &Info) -> Option<String> {
    let options = info.request.last()?.as_object()?;
    let format = options.get("format").and_then(Json::as_str).filter(|it| !it.is_empty());
    let format = format.map(|format| format!(" ({format})")).unwrap_or_default();
    let branch = if info.request.get(1)? == "rawhide" { "rawhide" } else { "branched" };
    Some(format!("{srpm}{format} ({branch})"))
}

/// Where the image of a finished task with one child is.
fn link(info: &Info) -> Option<String> {
    let [child] = info.children.as_array()?.as_slice() else { return None };
    let folder = info.result.as_str()?.split(' ').next_back()?.split('/').nth(5)?;
    let text = |at: usize| info.request.get(at).and_then(Json::as_str);
    let options = info.request.get(5)?;
    let suffix = match options.get("format").and_then(Json::as_str) {
        None => ".iso",
        Some("qcow2") => "-sda.qcow2",
        Some("raw") => "-sda.raw.xz",
        Some(_) => "",
    };
    let (name, version, release) = (text(0)?, text(1)?, options.get("release")?.as_str()?);
    let id = child.get("id")?.as_u64()?;
    Some(format!("{TASKS}/{folder}/{id}/{name}-{version}-{release}{suffix}"))
}

#[cfg(test)]
mod tests {
    use crate::tests::rows;

    const TOPIC: &str = "buildsys.task.state.change";

    fn msg(method: &str, state: &str, info: &str) -> String {
        format!(
            r#""msg": {{"owner": "masher", "method": "{method}", "new": "{state}",
                "srpm": "Fedora-Live-Xfce-x86_64", "info": {info}}}, "meta": {{"link": "L"}}"#
        )
    }

    const INFO: &str = r#"{"request": ["Fedora-Live-Xfce", "rawhide", "a", "b", "c",
            {"release": "20140604"}], "children": [{"id": 42}],
        "result": "livecd: https://kojipkgs.fedoraproject.org/work/tasks/7/42"}"#;

    #[test]
    fn a_live_image_that_is_done_has_a_link() {
        let row = |state: &str, link: &str| {
            format!(
                "artifact-livecd_x86_64,Fedora-Live-Xfce-x86_64 (rawhide),1.0,{{'extra_link':'L',\
                 'extra_text':'(details)','link':{link},\
                 'name':'Fedora-Live-Xfce-x86_64 (rawhide)','status':'{state}'}}\n"
            )
        };
        let link = "'https://kojipkgs.fedoraproject.org/work/tasks/7/42/\
                    Fedora-Live-Xfce-rawhide-20140604.iso'";
        assert_eq!(rows(&[(TOPIC, 1.0, &msg("livecd", "CLOSED", INFO))]), row("CLOSED", link));
        assert_eq!(rows(&[(TOPIC, 1.0, &msg("livecd", "OPEN", INFO))]), row("OPEN", "null"));
        let no_result = INFO.replace("/7/42", "");
        let done = msg("livecd", "CLOSED", &no_result);
        assert_eq!(rows(&[(TOPIC, 1.0, &done)]), row("CLOSED", "null"));
    }

    #[test]
    fn an_appliance_is_named_with_its_format_and_branch() {
        let info = r#"{"request": ["x", "f21", {"format": "qcow2"}]}"#;
        let rows = rows(&[(TOPIC, 1.0, &msg("appliance", "CLOSED", info))]);
        let row = "artifact-appliance_x86_64,Fedora-Live-Xfce-x86_64 (qcow2) (branched),1.0,";
        assert!(rows.starts_with(row) && rows.contains("'link':null"), "{rows}");
    }

    #[test]
    fn without_info_or_of_others_it_is_no_event() {
        for rest in [
            r#""msg": {"owner": "masher", "method": "livecd", "new": "OPEN", "srpm": "a-b"}"#
                .to_owned(),
            msg("livecd", "OPEN", "null"),
            msg("livecd", "OPEN", r#"{"request": []}"#),
            msg("build", "OPEN", INFO),
            msg("livecd", "OPEN", INFO).replace("masher", "jo"),
        ] {
            assert_eq!(rows(&[(TOPIC, 1.0, &rest)]), "", "{rest}");
        }
    }
}
