//! From a text in a message to the names in it.

const ACCOUNTS_DOMAIN: &str = "@fedoraproject.org";
const OPENID_DOMAIN: &str = ".id.fedoraproject.org";
/// Who takes part in every meeting and is nobody.
const MEETING_BOT: &str = "zodbot";
/// Organizations stand among the accounts under names that begin so.
const GITHUB_ORGANIZATION: &str = "github_org_";

/// How the names stand in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// The text is the name.
    Text,
    /// The text is the name, in lower case.
    Lowercase,
    /// The names are the keys of an object.
    Keys,
    /// The text is a nick; the bot that keeps the minutes is none.
    Nick,
    /// Like [`Nick`](Self::Nick), of the keys of an object.
    NickKeys,
    /// An e-mail address: that of an account of the Fedora project names the account, any other itself.
    Address,
    /// An e-mail address, alone or as in a header (`Jo Doe <jo@…>`): that of an account of the Fedora
    /// project names the account; who has any other is known to the accounts system only.
    Account,
    /// An OpenID of the Fedora project names the account, any other text itself.
    OpenId,
    /// The account of a GitHub user; organizations are none.
    GithubAccount,
    /// Each word that begins with an at sign, without it.
    Mentions,
    /// Names with version and release (`name-version-release`), separated by commas or blanks.
    Nvrs,
    /// The name of a package, perhaps with an architecture (`name(x86-64)`); a path or words are none.
    Package,
}

impl Read {
    /// Whether the names are the keys of the object at the place.
    pub(crate) fn is_of_keys(self) -> bool {
        matches!(self, Self::Keys | Self::NickKeys)
    }

    /// Calls `name` with each name in `text`.
    pub(crate) fn names<'t>(self, text: &'t str, mut name: impl FnMut(&'t str)) {
        match self {
            // Lower case needs a text of its own: see `Found`.
            Self::Text | Self::Lowercase | Self::Keys => name(text),
            Self::Nick | Self::NickKeys if text == MEETING_BOT => {}
            Self::Nick | Self::NickKeys => name(text),
            Self::Address => name(text.strip_suffix(ACCOUNTS_DOMAIN).unwrap_or(text)),
            Self::Account => {
                if let Some(account) = address(text).strip_suffix(ACCOUNTS_DOMAIN) {
                    name(account);
                }
            }
            Self::OpenId => name(openid(text).unwrap_or(text)),
            Self::GithubAccount if text.starts_with(GITHUB_ORGANIZATION) => {}
            Self::GithubAccount => name(text),
            Self::Mentions => text.split_whitespace().filter_map(mentioned).for_each(name),
            Self::Nvrs => {
                let separated = text.split(|c: char| c == ',' || c.is_whitespace());
                separated.filter_map(without_version).for_each(name);
            }
            Self::Package => {
                let package = text.split_once('(').map_or(text, |(package, _)| package);
                if !package.contains(['/', ' ']) {
                    name(package);
                }
            }
        }
    }
}

/// `jo@example.org` of `Jo Doe <jo@example.org>`.
fn address(from: &str) -> &str {
    let bracketed = from.rsplit_once('<').and_then(|(_, rest)| rest.split_once('>'));
    bracketed.map_or(from, |(address, _)| address)
}

/// `jo` of `http://jo.id.fedoraproject.org/`.
fn openid(text: &str) -> Option<&str> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.unwrap_or(text).trim_end_matches('/').strip_suffix(OPENID_DOMAIN)
}

/// `jo` of `@jo.`.
fn mentioned(word: &str) -> Option<&str> {
    let rest = word.strip_prefix('@')?;
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    Some(&rest[..end])
}

/// `perl-Moose` of `perl-Moose-2.0-1.fc20`.
fn without_version(nvr: &str) -> Option<&str> {
    let (name_version, _) = nvr.rsplit_once('-')?;
    Some(name_version.rsplit_once('-')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(read: Read, text: &str) -> Vec<&str> {
        let mut names = Vec::new();
        read.names(text, |name| names.push(name));
        names
    }

    #[test]
    fn updates_are_titled_with_one_or_more_names_with_versions() {
        assert_eq!(names(Read::Nvrs, "perl-Moose-2.0-1.fc20"), ["perl-Moose"]);
        assert_eq!(names(Read::Nvrs, "a-1-1.fc18,b-c-2-1.fc18 d-3-1"), ["a", "b-c", "d"]);
        assert!(names(Read::Nvrs, "KDE Frameworks 5").is_empty());
    }

    #[test]
    fn an_address_of_the_project_names_the_account() {
        assert_eq!(names(Read::Address, "jo@fedoraproject.org"), ["jo"]);
        assert_eq!(names(Read::Address, "jo@example.org"), ["jo@example.org"]);
        assert_eq!(names(Read::Account, "Jo <Doe> <jo@fedoraproject.org>"), ["jo"]);
        assert_eq!(names(Read::Account, "jo@fedoraproject.org"), ["jo"]);
        assert!(names(Read::Account, "Jo <jo@example.org>").is_empty());
    }

    #[test]
    fn an_openid_of_the_project_names_the_account() {
        for text in ["http://jo.id.fedoraproject.org/", "https://jo.id.fedoraproject.org"] {
            assert_eq!(names(Read::OpenId, text), ["jo"]);
        }
        assert_eq!(names(Read::OpenId, "jo.id.fedoraproject.org"), ["jo"]);
        assert_eq!(names(Read::OpenId, "anitya"), ["anitya"]);
    }

    #[test]
    fn who_is_mentioned_is_written_with_an_at_sign() {
        assert_eq!(names(Read::Mentions, "thanks @jo, and\n@kim_2."), ["jo", "kim_2"]);
        assert!(names(Read::Mentions, "jo@example.org").is_empty());
    }

    #[test]
    fn a_package_is_no_path_and_no_words() {
        assert_eq!(names(Read::Package, "boost(x86-32)"), ["boost"]);
        assert!(names(Read::Package, "/usr/bin/pydoc").is_empty());
        assert!(names(Read::Package, "Package Review").is_empty());
    }

    #[test]
    fn bots_and_organizations_are_nobody() {
        assert!(names(Read::Nick, "zodbot").is_empty());
        assert_eq!(names(Read::NickKeys, "jo"), ["jo"]);
        assert!(names(Read::GithubAccount, "github_org_fedora-infra").is_empty());
    }
}
