//! What a request says of the picture it wants: one table that parses it, words its errors and
//! documents it.

use statmill_plugin_api::manifest::ModelManifest;

use super::kind::Kind;
use crate::query::params::Values;
use crate::query::shape::ModelShape;
use crate::query::{ParamError, Query};
use crate::render::svg::{AxisForm, Theme};
use crate::store::StoredModel;

/// What a request says of the picture it wants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Asked {
    /// Which picture; what suits the rows if `None`.
    pub kind: Option<Kind>,
    /// The measure, or a column of it; the first with numbers if `None`.
    pub measure: Option<String>,
    /// The dimension by which series or bars are told apart; the first if `None`.
    pub by: Option<String>,
    /// The measure, or a column of it, that the dots of a scatter plot are right of; the next one if `None`.
    pub x: Option<String>,
    /// Unit of what is measured, instead of the column's.
    pub unit: Option<String>,
    /// Where the axis of values begins.
    pub y: Option<AxisForm>,
    /// Width, px.
    pub width: Option<u32>,
    /// Height, px.
    pub height: Option<u32>,
    /// Colours.
    pub theme: Theme,
    /// Name of the time zone of axes; UTC if `None`.
    pub tz: Option<String>,
}

/// A parameter of pictures.
pub struct PictureParam {
    /// Its name.
    pub name: &'static str,
    /// Another name, for a model that has a column of the first one.
    pub alias: &'static str,
    /// What it may be, in words.
    pub allowed: &'static str,
    /// What it may be, for programs.
    pub values: Values,
    /// What it does.
    pub meaning: &'static str,
    set: fn(&mut Asked, &str) -> Result<(), &'static str>,
}

/// Every parameter of pictures.
pub const PARAMS: &[PictureParam] = &[
    PictureParam {
        name: "type",
        alias: "chart",
        allowed: "`line`, `area`, `stacked-area`, `column`, `bar`, `stacked-bar`, `heatmap`, \
                  `week`, `histogram`, `scatter`, `box`, `sparkline` or `tile`",
        values: Values::OneOf(&[
            "line",
            "area",
            "stacked-area",
            "column",
            "bar",
            "stacked-bar",
            "heatmap",
            "week",
            "histogram",
            "scatter",
            "box",
            "sparkline",
            "tile",
        ]),
        meaning: "which picture; what suits the model by default",
        set: |asked, value| {
            asked.kind = Some(Kind::named(value).ok_or("is no kind of picture")?);
            Ok(())
        },
    },
    PictureParam {
        name: "measure",
        alias: "value",
        allowed: "the name of a measure, or of a column of it",
        values: Values::Text,
        meaning: "what the picture shows; the first measure with numbers by default",
        set: |asked, value| {
            asked.measure = Some(value.to_owned());
            Ok(())
        },
    },
    PictureParam {
        name: "by",
        alias: "series",
        allowed: "the name of a dimension",
        values: Values::Text,
        meaning: "what series and bars are told apart by; the first dimension by default",
        set: |asked, value| {
            asked.by = Some(value.to_owned());
            Ok(())
        },
    },
    PictureParam {
        name: "x",
        alias: "across",
        allowed: "the name of a measure, or of a column of it",
        values: Values::Text,
        meaning: "what the dots of a scatter plot are right of; the next measure with numbers, else time, by default",
        set: |asked, value| {
            asked.x = Some(value.to_owned());
            Ok(())
        },
    },
    PictureParam {
        name: "y",
        alias: "axis",
        allowed: "`zero`, `auto` or `log`",
        values: Values::OneOf(&["zero", "auto", "log"]),
        meaning: "where the axis of values begins and how it rises; `zero` by default",
        set: |asked, value| {
            asked.y = Some(match value {
                "zero" => AxisForm::Zero,
                "auto" => AxisForm::Auto,
                "log" => AxisForm::Log,
                _ => return Err("is none of these"),
            });
            Ok(())
        },
    },
    PictureParam {
        name: "w",
        alias: "width",
        allowed: "a whole number of pixels; what is too small or too large is taken as the nearest",
        values: Values::Whole(0),
        meaning: "width of the picture",
        set: |asked, value| {
            asked.width = Some(pixels(value)?);
            Ok(())
        },
    },
    PictureParam {
        name: "h",
        alias: "height",
        allowed: "a whole number of pixels; what is too small or too large is taken as the nearest",
        values: Values::Whole(0),
        meaning: "height of the picture",
        set: |asked, value| {
            asked.height = Some(pixels(value)?);
            Ok(())
        },
    },
    PictureParam {
        name: "theme",
        alias: "colours",
        allowed: "`auto`, `light` or `dark`",
        values: Values::OneOf(&["auto", "light", "dark"]),
        meaning: "colours of the picture; `auto`, as the reader's system has them, by default",
        set: |asked, value| {
            asked.theme = match value {
                "auto" => Theme::Auto,
                "light" => Theme::Light,
                "dark" => Theme::Dark,
                _ => return Err("is none of these"),
            };
            Ok(())
        },
    },
    PictureParam {
        name: "tz",
        alias: "zone",
        allowed: "the name of a time zone, such as `Europe/Berlin`",
        values: Values::Text,
        meaning: "whose days and hours a picture shows; `UTC` by default",
        set: |asked, value| {
            jiff::tz::TimeZone::get(value).map_err(|_| "is not the name of a time zone")?;
            asked.tz = Some(value.to_owned());
            Ok(())
        },
    },
];

/// The model that a query asks.
#[must_use]
pub fn model<'a>(models: &'a [StoredModel], query: &Query) -> Option<&'a ModelManifest> {
    let is_wanted = |name: &str| query.model.as_ref().is_none_or(|wanted| wanted == name);
    models.iter().find(|stored| is_wanted(&stored.name)).map(|stored| &stored.model)
}

fn pixels(value: &str) -> Result<u32, &'static str> {
    let number: u64 = value.parse().map_err(|_| "is not a whole number in range")?;
    Ok(u32::try_from(number).unwrap_or(u32::MAX))
}

impl Asked {
    /// Takes what is said of a picture out of a query of one of these tables.
    ///
    /// # Errors
    ///
    /// One [`ParamError`] per parameter that is wrong.
    pub fn of(models: &[StoredModel], query: &mut Query) -> Result<Self, Vec<ParamError>> {
        let shape = model(models, query).map(ModelShape::new);
        let columns = shape.iter().flat_map(|shape| shape.columns());
        let columns: Vec<String> = columns.map(|column| column.name.clone()).collect();
        Self::take(query, &columns)
    }

    /// Takes what is said of a picture out of a query, which else would take it for filters. A name
    /// that is a column of the model is one.
    ///
    /// # Errors
    ///
    /// One [`ParamError`] per parameter that is wrong.
    fn take(query: &mut Query, columns: &[String]) -> Result<Self, Vec<ParamError>> {
        let (mut asked, mut errors, mut given) = (Self::default(), Vec::new(), Vec::new());
        query.conditions.retain(|condition| {
            let name = condition.name.as_str();
            let known = PARAMS.iter().find(|param| [param.name, param.alias].contains(&name));
            let Some(param) = known.filter(|_| !columns.iter().any(|column| column == name)) else {
                return true;
            };
            if condition.value.is_empty() {
                return false;
            }
            let outcome = if given.contains(&param.name) {
                Err("is given more than once")
            } else {
                given.push(param.name);
                (param.set)(&mut asked, &condition.value)
            };
            if let Err(reason) = outcome {
                let quoted: String = condition.value.chars().take(80).collect();
                errors.push(ParamError {
                    param: condition.name.clone(),
                    reason: format!("{quoted:?} {reason}"),
                    allowed: param.allowed.to_owned(),
                });
            }
            false
        });
        if errors.is_empty() { Ok(asked) } else { Err(errors) }
    }
}
