//! Composes: each step of making a branch's trees for an architecture.

use statmill_plugin_api::serde_json::json;

use crate::Event;
use crate::event::{Logged, Step};

/// The architectures that are composed together say none.
const PRIMARY: &str = "primary";

pub(crate) fn event(step: &Step, message: &Event<'_>) -> Logged {
    let arch = message.arch().filter(|arch| !arch.is_empty()).unwrap_or(PRIMARY);
    Logged {
        category: format!("compose-{}_{arch}", step.branch),
        thing: step.name.clone(),
        message: json!({ "name": capitalized(&step.name), "status": step.status }),
    }
}

fn capitalized(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use crate::tests::rows;

    #[test]
    fn each_step_of_each_architecture_is_a_row() {
        let rows = rows(&[
            ("compose.rawhide.start", 1.0, r#""msg": {"arch": ""}"#),
            ("compose.rawhide.mash.complete", 2.0, r#""msg": {}"#),
            ("compose.rawhide.mash.start", 3.0, r#""msg": {"arch": "ppc"}"#),
        ]);
        assert_eq!(
            rows,
            "compose-rawhide_ppc,mash,3.0,{'name':'Mash','status':'start'}\n\
             compose-rawhide_primary,mash,2.0,{'name':'Mash','status':'complete'}\n\
             compose-rawhide_primary,rawhide,1.0,{'name':'Rawhide','status':'start'}\n"
        );
    }
}
