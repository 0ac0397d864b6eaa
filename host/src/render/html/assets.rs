//! Script and style sheet: one file each, under names that change with their content, so that browsers may keep
//! them for ever.

/// A file that pages use.
pub struct Asset {
    name: &'static str,
    extension: &'static str,
    /// What it is.
    pub content_type: &'static str,
    /// Its content.
    pub body: &'static str,
}

/// The script of every page.
pub static SCRIPT: Asset = Asset {
    name: "statmill",
    extension: "js",
    content_type: "text/javascript; charset=utf-8",
    body: include_str!("assets/statmill.js"),
};

/// The style sheet of every page.
pub static STYLE: Asset = Asset {
    name: "statmill",
    extension: "css",
    content_type: "text/css; charset=utf-8",
    body: include_str!("assets/statmill.css"),
};

/// What browsers show beside the title.
pub static ICON: Asset = Asset {
    name: "icon",
    extension: "svg",
    content_type: "image/svg+xml",
    body: include_str!("assets/icon.svg"),
};

impl Asset {
    /// Its file name.
    #[must_use]
    pub fn file(&self) -> String {
        let hash = xxhash_rust::xxh3::xxh3_64(self.body.as_bytes());
        format!("{}-{hash:016x}.{}", self.name, self.extension)
    }

    /// Its address.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/assets/{}", self.file())
    }

    /// The asset of that file name.
    #[must_use]
    pub fn named(file: &str) -> Option<&'static Self> {
        let all: [&'static Self; 3] = [&SCRIPT, &STYLE, &ICON];
        all.into_iter().find(|asset| asset.file() == file)
    }
}
