//! Cloud images that were uploaded or tested: each image in each region.

use statmill_plugin_api::serde_json::json;

use crate::Event;
use crate::event::Logged;

const COMPLETED: &str = "completed";

pub(crate) fn event(message: &Event<'_>) -> Option<Logged> {
    let (status, image) = (message.status()?, message.image_name()?);
    let (destination, id) = (message.destination()?, message.image_id()?);
    if status != COMPLETED {
        return None;
    }
    // `Fedora-Cloud-Base-rawhide-20140604.x86_64`: the fourth word is the version.
    let version = image.split('.').next()?.split('-').nth(3)?.to_lowercase();
    let branch = if version == "rawhide" { "rawhide" } else { "branched" };
    let region = region(destination);
    Some(Logged {
        category: format!("ami-{branch}"),
        thing: format!("{image}-{region}"),
        message: json!({
            "name": image,
            "extra_text": destination,
            "extra_link": format!(
                "https://redirect.fedoraproject.org/console.aws.amazon.com/ec2/v2/home\
                 ?region={region}#LaunchInstanceWizard:ami={id}"
            ),
            "status": COMPLETED,
        }),
    })
}

/// `us-east-1` of `EC2 (us-east-1)`; without brackets all of it.
fn region(destination: &str) -> &str {
    let bracketed = destination.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    bracketed.map_or(destination, |(region, _)| region)
}

#[cfg(test)]
mod tests {
    use super::region;
    use crate::tests::rows;

    #[test]
    fn only_what_is_completed_is_an_event() {
        let msg = |status: &str, image: &str| {
            format!(
                r#""msg": {{"status": "{status}", "image_name": "{image}",
                    "destination": "EC2 (us-east-1)", "extra": {{"id": "ami-1"}}}}"#
            )
        };
        let rows = rows(&[
            ("fedimg.image.upload", 1.0, &msg("completed", "Fedora-Cloud-Base-Rawhide-2014.x86")),
            ("fedimg.image.test", 2.0, &msg("started", "Fedora-Cloud-Base-Rawhide-2014.x86")),
            ("fedimg.image.test", 3.0, &msg("completed", "Fedora-Cloud-Base-24-2016.x86")),
            ("fedimg.image.test", 4.0, &msg("completed", "short-name.x86")),
        ]);
        let link = "https://redirect.fedoraproject.org/console.aws.amazon.com/ec2/v2/home\
                    ?region=us-east-1#LaunchInstanceWizard:ami=ami-1";
        let row = |branch: &str, image: &str, time: &str| {
            format!(
                "ami-{branch},{image}-us-east-1,{time},{{'extra_link':'{link}',\
                 'extra_text':'EC2 (us-east-1)','name':'{image}','status':'completed'}}\n"
            )
        };
        let branched = row("branched", "Fedora-Cloud-Base-24-2016.x86", "3.0");
        assert_eq!(rows, branched + &row("rawhide", "Fedora-Cloud-Base-Rawhide-2014.x86", "1.0"));
    }

    #[test]
    fn a_destination_without_brackets_is_its_own_region() {
        assert_eq!(region("EC2 (us-east-1)"), "us-east-1");
        assert_eq!(region("eu-west-1"), "eu-west-1");
        assert_eq!(region("EC2 (broken"), "EC2 (broken");
    }
}
