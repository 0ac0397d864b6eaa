//! Which packages a message is about.

use statmill_plugin_api::prelude::*;

use crate::Read::{Keys, Nvrs, Package, Text};
use crate::Take::{Always, First};
use crate::finder::{Finder, Parts, Subject};
use crate::rule::Rule;

/// Packages by topic.
pub const RULES: &[Rule] = &[
    Rule {
        topics: "bodhi.update.comment",
        takes: &[First(&[("/comment/update_title", Nvrs), ("/comment/update/builds/*/nvr", Nvrs)])],
    },
    Rule {
        topics: "bodhi.buildroot_override.*",
        takes: &[First(&[("/override/build", Nvrs), ("/override/build/nvr", Nvrs)])],
    },
    Rule { topics: "bodhi.stack.*", takes: &[First(&[("/stack/packages/*/name", Text)])] },
    Rule { topics: "bodhi.masher.start", takes: &[First(&[("/updates/*", Nvrs)])] },
    Rule {
        topics: "bodhi.#",
        takes: &[First(&[("/update/title", Nvrs), ("/update/builds/*/nvr", Nvrs)])],
    },
    Rule { topics: "git.receive", takes: &[First(&[("/commit/repo", Text)])] },
    Rule {
        topics: "git.#",
        takes: &[
            First(&[("/name", Text)]),
            First(&[("/branchedPackages/*", Text)]),
            First(&[("/unbranchedPackages/*", Text)]),
        ],
    },
    Rule {
        topics: "fedoratagger.#",
        takes: &[First(&[
            ("/tag/package", Text),
            ("/package/name", Text),
            ("/rating/package/name", Text),
            ("/vote/tag/package", Text),
            ("/vote/tag/package", Keys),
        ])],
    },
    Rule {
        topics: "pkgdb.#",
        takes: &[First(&[
            ("/package", Text),
            ("/package/name", Text),
            ("/package_listing/package/name", Text),
            ("/acl/packagelist/package/name", Text),
            ("/info/pkg_name", Text),
            ("/package_name", Text),
        ])],
    },
    Rule { topics: "buildsys.#", takes: &[First(&[("/name", Text), ("/package", Text)])] },
    Rule { topics: "anitya.project.map.new", takes: &[First(&[("/message/new", Text)])] },
    Rule { topics: "anitya.#", takes: &[First(&[("/message/packages/*/package_name", Text)])] },
    Rule {
        topics: "hotness.#",
        takes: &[First(&[
            ("/trigger/msg/package/name", Text),
            ("/trigger/msg/package_listing/package/name", Text),
        ])],
    },
    Rule { topics: "faf.#", takes: &[First(&[("/components/*", Text)])] },
    Rule {
        topics: "mdapi.#",
        takes: &[
            First(&[("/differences/*/*/*/0", Package)]),
            First(&[("/differences/files/*/*/2", Package)]),
        ],
    },
    Rule {
        topics: "bugzilla.#",
        takes: &[First(&[("/bug/component", Package), ("/bug/component/name", Package)])],
    },
    Rule { topics: "kerneltest.#", takes: &[Always("kernel")] },
];

fields! {
    /// Where packages are named.
    pub struct Event {
        packages: raw "/packages",
        headers: raw "/headers",
        msg: raw "/msg",
        body: raw "/body",
        name: sym "/msg/name",
        package: sym "/msg/package",
        package_name: sym "/msg/package/name",
        listed_package: sym "/msg/package_listing/package/name",
        repo: sym "/msg/commit/repo",
        title: sym "/msg/update/title",
    }
}

/// The places that most messages need, in the order of [`column`].
const SUBJECT: Subject = Subject {
    header: "fedora_messaging_rpm_",
    rules: RULES,
    columns: &[
        "/name",
        "/package",
        "/package/name",
        "/package_listing/package/name",
        "/commit/repo",
        "/update/title",
    ],
};

fn column(event: &Event<'_>, number: usize) -> Option<Sym> {
    match number {
        0 => event.name(),
        1 => event.package(),
        2 => event.package_name(),
        3 => event.listed_package(),
        4 => event.repo(),
        5 => event.title(),
        _ => None,
    }
}

/// Finds the packages of messages.
pub struct Packages(Finder);

impl Default for Packages {
    fn default() -> Self {
        Self(Finder::new(&SUBJECT))
    }
}

impl Packages {
    /// Calls `visit` with each package of `message`, once.
    pub fn each(&mut self, message: &Event<'_>, visit: impl FnMut(Label<'_>)) {
        let parts = Parts {
            message,
            listed: message.packages(),
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
    struct ByPackage {
        #[model(dimensions = ["package"], measures = ["count"])]
        by_package: Rollup<(SymOrText,), Count>,
        packages: Packages,
    }

    impl Stat for ByPackage {
        const INFO: StatInfo =
            StatInfo { ident: "by-package", title: "By package", ..StatInfo::DEFAULT };
        const FIELDS: Fields = Event::FIELDS;

        fn fold(&mut self, batch: &Batch<'_>) -> Result<(), PluginError> {
            for message in batch.rows::<Event>() {
                self.packages
                    .each(&message, |package| self.by_package.at(&message, (package,)).add(1));
            }
            Ok(())
        }
    }

    fn packages(topic: &str, rest: &str) -> String {
        let message =
            format!(r#"{{"topic": "org.fedoraproject.prod.{topic}", "timestamp": 1, {rest}}}"#);
        let rows = testing::fold::<ByPackage>(&[&message]).rows("by_package");
        rows.lines().skip(1).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn own_list_then_headers_then_rules() {
        let rest = r#""headers": {"fedora_messaging_rpm_h": true}, "msg": {"name": "n"}"#;
        assert_eq!(packages("buildsys.tag", &format!(r#""packages": ["p"], {rest}"#)), "p,1");
        assert_eq!(packages("buildsys.tag", rest), "h,1");
        assert_eq!(packages("buildsys.tag", r#""msg": {"name": "n", "package": "p"}"#), "n,1");
    }

    #[test]
    fn an_update_s_packages_stand_in_its_title_or_in_its_builds() {
        let builds = r#""builds": [{"nvr": "c-1-1"}, {"nvr": "d-2-1"}]"#;
        let msg = |title: &str| format!(r#""msg": {{"update": {{"title": "{title}", {builds}}}}}"#);
        assert_eq!(packages("bodhi.update.edit", &msg("a-1-1.fc18,b-2-1.fc18")), "a,1 b,1");
        assert_eq!(packages("bodhi.update.edit", &msg("KDE Frameworks")), "c,1 d,1");
    }

    #[test]
    fn a_kernel_test_is_about_the_kernel() {
        assert_eq!(packages("kerneltest.upload.new", r#""msg": {}"#), "kernel,1");
    }

    #[test]
    fn every_column_is_the_place_it_stands_for() {
        let fields = Event::FIELDS.0.iter().skip(4);
        let places: Vec<_> =
            fields.filter_map(|field| field.pointer.strip_prefix("/msg")).collect();
        assert_eq!(places, SUBJECT.columns);
    }
}
