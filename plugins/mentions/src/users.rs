//! Whose a message is: the accounts of those who did it or whom it is about.

use statmill_plugin_api::prelude::*;

use crate::Read::{
    Account, Address, GithubAccount, Lowercase, Mentions, Nick, NickKeys, OpenId, Text,
};
use crate::Take::First;
use crate::finder::{Finder, Parts, Subject};
use crate::rule::Rule;

/// Users by topic. All but the listed applications of Fedora's buses name who did it in `/agent`.
pub const RULES: &[Rule] = &[
    Rule {
        topics: "bodhi.update.comment",
        takes: &[
            First(&[("/agent", Text)]),
            First(&[("/comment/author", Text), ("/comment/user/name", Text)]),
            First(&[("/comment/text", Mentions)]),
        ],
    },
    Rule {
        topics: "bodhi.buildroot_override.*",
        takes: &[
            First(&[("/agent", Text)]),
            First(&[("/override/submitter", Text), ("/override/submitter/name", Text)]),
        ],
    },
    Rule {
        topics: "bodhi.stack.*",
        takes: &[First(&[("/agent", Text)]), First(&[("/stack/users/*/name", Text)])],
    },
    Rule {
        topics: "bodhi.#",
        takes: &[
            First(&[("/agent", Text)]),
            First(&[
                ("/update/submitter", Text),
                ("/update/submitter/name", Text),
                ("/update/user/name", Text),
            ]),
        ],
    },
    Rule {
        topics: "git.receive",
        takes: &[First(&[("/agent", Text)]), First(&[("/commit/username", Text)])],
    },
    Rule {
        topics: "trac.git.receive",
        takes: &[First(&[("/commit/agent", Text), ("/commit/username", Text)])],
    },
    Rule {
        topics: "trac.ticket.*",
        takes: &[
            First(&[("/agent", Text)]),
            First(&[("/ticket/owner", Text)]),
            First(&[("/ticket/reporter", Text)]),
        ],
    },
    Rule { topics: "wiki.#", takes: &[First(&[("/user", Lowercase), ("/user_text", Lowercase)])] },
    Rule {
        topics: "fas.#",
        takes: &[
            First(&[("/agent", Text), ("/agent/username", Text)]),
            First(&[("/user", Text), ("/user/username", Text)]),
        ],
    },
    Rule {
        topics: "fedoratagger.#",
        takes: &[
            First(&[("/user/username", Text)]),
            First(&[("/vote/user/username", Text), ("/rating/user/username", Text)]),
        ],
    },
    Rule {
        topics: "meetbot.#",
        takes: &[
            First(&[("/owner", Text)]),
            First(&[("/attendees", NickKeys)]),
            First(&[("/details/nick", Nick)]),
        ],
    },
    Rule {
        topics: "irc.karma",
        takes: &[First(&[("/agent", Text)]), First(&[("/recipient", Text)])],
    },
    Rule {
        topics: "pkgdb.#",
        takes: &[
            First(&[("/agent", Text)]),
            First(&[("/username", Text)]),
            First(&[("/acl/fas_name", Text)]),
        ],
    },
    Rule { topics: "planet.#", takes: &[First(&[("/username", Text)])] },
    Rule { topics: "buildsys.#", takes: &[First(&[("/owner", Text), ("/user", Text)])] },
    Rule {
        topics: "askbot.#",
        takes: &[First(&[("/agent", Text)]), First(&[("/newly_mentioned_users/*", Text)])],
    },
    Rule {
        topics: "nuancier.candidate.*",
        takes: &[First(&[("/agent", Text)]), First(&[("/candidate/submitter", Text)])],
    },
    Rule { topics: "ansible.#", takes: &[First(&[("/userid", Text)])] },
    Rule {
        topics: "fedbadges.#",
        takes: &[First(&[("/person/nickname", Text), ("/user/username", Text)])],
    },
    Rule { topics: "copr.#", takes: &[First(&[("/user", Text)]), First(&[("/owner", Text)])] },
    Rule { topics: "anitya.#", takes: &[First(&[("/message/agent", OpenId)])] },
    Rule { topics: "github.#", takes: &[First(&[("/fas_usernames/*", GithubAccount)])] },
    Rule { topics: "mailman.#", takes: &[First(&[("/msg/from", Account)])] },
    Rule {
        topics: "nagios.#",
        takes: &[First(&[("/service_ack_author", OpenId)]), First(&[("/host_ack_author", OpenId)])],
    },
    Rule {
        topics: "pagure.git.receive",
        takes: &[First(&[("/agent", Text), ("/commit/email", Address)])],
    },
    Rule { topics: "openqa.#", takes: &[First(&[("/user", Text)])] },
    Rule {
        topics: "bugzilla.#",
        takes: &[
            First(&[("/event/who", Account)]),
            First(&[("/bug/creator", Account)]),
            First(&[("/bug/assigned_to", Account)]),
            First(&[("/bug/comments/*/creator", Account)]),
        ],
    },
    Rule { topics: "mbs.#", takes: &[First(&[("/owner", Text)])] },
    Rule { topics: "waiverdb.#", takes: &[First(&[("/username", Text)])] },
    Rule { topics: "ci.pipeline.#", takes: &[First(&[("/username", Text)])] },
    Rule { topics: "allpackages.pipeline.#", takes: &[First(&[("/username", Text)])] },
    Rule { topics: "fmn.#", takes: &[First(&[("/openid", OpenId)])] },
    Rule { topics: "#", takes: &[First(&[("/agent", Text)])] },
];

fields! {
    /// Where users are named.
    pub struct Event {
        users: raw "/users",
        headers: raw "/headers",
        msg: raw "/msg",
        body: raw "/body",
        agent: sym "/msg/agent",
        user: sym "/msg/user",
        owner: sym "/msg/owner",
        username: sym "/msg/username",
        userid: sym "/msg/userid",
        committer: sym "/msg/commit/username",
        submitter: sym "/msg/update/submitter",
        submitter_name: sym "/msg/update/submitter/name",
        updater: sym "/msg/update/user/name",
    }
}

/// The places that most messages need, in the order of [`column`].
const SUBJECT: Subject = Subject {
    header: "fedora_messaging_user_",
    rules: RULES,
    columns: &[
        "/agent",
        "/user",
        "/owner",
        "/username",
        "/userid",
        "/commit/username",
        "/update/submitter",
        "/update/submitter/name",
        "/update/user/name",
    ],
};

fn column(event: &Event<'_>, number: usize) -> Option<Sym> {
    match number {
        0 => event.agent(),
        1 => event.user(),
        2 => event.owner(),
        3 => event.username(),
        4 => event.userid(),
        5 => event.committer(),
        6 => event.submitter(),
        7 => event.submitter_name(),
        8 => event.updater(),
        _ => None,
    }
}

/// Finds the users of messages.
pub struct Users(Finder);

impl Default for Users {
    fn default() -> Self {
        Self(Finder::new(&SUBJECT))
    }
}

impl Users {
    /// Calls `visit` with each user of `message`, once.
    pub fn each(&mut self, message: &Event<'_>, visit: impl FnMut(Label<'_>)) {
        let parts = Parts {
            message,
            listed: message.users(),
            headers: message.headers(),
            msg: message.msg(),
            body: message.body(),
            column: &|number| column(message, number),
        };
        self.0.each(&parts, visit);
    }
}

#[cfg(test)]
mod tests {
    use statmill_plugin_api::testing;

    use super::*;

    #[derive(Models, Default)]
    struct ByUser {
        #[model(dimensions = ["user"], measures = ["count"])]
        by_user: Rollup<(SymOrText,), Count>,
        users: Users,
    }

    impl Stat for ByUser {
        const INFO: StatInfo = StatInfo { ident: "by-user", title: "By user", ..StatInfo::DEFAULT };
        const FIELDS: Fields = Event::FIELDS;

        fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
            for message in batch.rows::<Event>() {
                self.users.each(&message, |user| self.by_user.at(&message, (user,)).add(1));
            }
            Ok(())
        }
    }

    /// The users of one message: `user=count`, in order.
    fn users(topic: &str, rest: &str) -> String {
        let message = format!(r#"{{"topic": "{topic}", "timestamp": 1, {rest}}}"#);
        let rows = testing::fold::<ByUser>(&[&message]).rows("by_user");
        rows.lines().skip(1).collect::<Vec<_>>().join(" ")
    }

    const COMMENT: &str = "org.fedoraproject.prod.bodhi.update.comment";

    #[test]
    fn the_message_s_own_list_decides_before_headers_and_body() {
        let rest = r#""headers": {"fedora_messaging_user_h": true}, "msg": {"agent": "a"}"#;
        assert_eq!(users(COMMENT, &format!(r#""users": ["b", "c", "b"], {rest}"#)), "b,1 c,1");
        assert_eq!(users(COMMENT, &format!(r#""users": [], {rest}"#)), "");
        assert_eq!(users(COMMENT, &format!(r#""users": "no list", {rest}"#)), "h,1");
        assert_eq!(users(COMMENT, r#""headers": {}, "msg": {"agent": "a"}"#), "a,1");
    }

    #[test]
    fn a_user_who_is_named_twice_counts_once() {
        let msg = r#""msg": {"agent": "jo", "comment": {"author": "jo", "text": "cc @kim, @jo"}}"#;
        assert_eq!(users(COMMENT, msg), "jo,1 kim,1");
        let msg = r#""msg": {"agent": "jo", "update": {"user": {"name": "\u006ao"}}}"#;
        assert_eq!(users("org.fedoraproject.prod.bodhi.update.edit", msg), "jo,1");
    }

    #[test]
    fn the_first_place_with_a_name_counts_of_those_that_stand_for_each_other() {
        let topic = "org.fedoraproject.prod.buildsys.untag";
        assert_eq!(users(topic, r#""msg": {"owner": "jo", "user": "bodhi"}"#), "jo,1");
        assert_eq!(users(topic, r#""msg": {"owner": null, "user": "bodhi"}"#), "bodhi,1");
        assert_eq!(users(topic, r#""msg": {"owner": "", "user": "bodhi"}"#), "bodhi,1");
    }

    #[test]
    fn a_body_in_the_newer_form_is_read_by_the_same_rules() {
        let body = r#""body": {"agent": "jo", "update": {"submitter": {"name": "kim"}}}"#;
        assert_eq!(users("org.fedoraproject.prod.bodhi.update.edit", body), "jo,1 kim,1");
    }

    #[test]
    fn a_topic_of_fewer_words_and_a_sender_s_name_name_nobody() {
        assert_eq!(users("shop.order", r#""msg": {"agent": "jo"}"#), "");
        assert_eq!(users("org.fedoraproject.prod.x.y", r#""username": "apache""#), "");
        assert_eq!(users("org.fedoraproject.prod.x.y", r#""msg": {"agent": ["jo"]}"#), "");
    }

    #[test]
    fn every_column_is_the_place_it_stands_for() {
        let fields = Event::FIELDS.0.iter().skip(4);
        let places: Vec<_> =
            fields.filter_map(|field| field.pointer.strip_prefix("/msg")).collect();
        assert_eq!(places, SUBJECT.columns);
    }
}
