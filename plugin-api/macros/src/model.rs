//! `#[model(…)]`: the words of one model.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    Error, Field, GenericArgument, Ident, LitFloat, LitInt, LitStr, PathArguments, Result, Token,
    Type, bracketed, parenthesized, token,
};

use crate::span;

/// What an attribute says.
#[derive(Default)]
struct Words {
    window: Option<Window>,
    end: bool,
    dimensions: Vec<LitStr>,
    measures: Vec<Measure>,
    retention: Option<u64>,
    rollups: Vec<(LitStr, u64, Option<u64>)>,
    index: Option<LitStr>,
}

enum Window {
    Seconds(u64),
    Interval,
}

struct Measure {
    name: LitStr,
    unit: String,
    per_octave: Option<u32>,
    keep: Option<u32>,
    show: Vec<f64>,
}

/// A model: its field and its words, known to fit.
pub(crate) struct Model {
    pub(crate) name: Ident,
    pub(crate) ty: Type,
    words: Words,
}

impl Model {
    /// The model that `field` is; none if it has no `#[model]`.
    pub(crate) fn of(field: &Field) -> Result<Option<Self>> {
        let mut attributes = field.attrs.iter().filter(|it| it.path().is_ident("model"));
        let Some(attribute) = attributes.next() else {
            return match &field.ty {
                Type::Path(path)
                    if path.path.segments.last().is_some_and(|it| it.ident == "Rollup") =>
                {
                    let message =
                        "without `#[model(measures = [...])]` the host would never see it";
                    Err(Error::new(field.ty.span(), message))
                }
                _ => Ok(None),
            };
        };
        if let Some(second) = attributes.next() {
            return Err(Error::new(
                second.span(),
                "one `#[model(...)]` is enough: put all words in it",
            ));
        }
        let name = field.ident.clone().expect("a struct with named fields");
        let words: Words = attribute.parse_args()?;
        words.check(attribute.path().span(), &field.ty)?;
        Ok(Some(Self { name, ty: field.ty.clone(), words }))
    }

    pub(crate) fn needs_interval(&self) -> bool {
        matches!(self.words.window, Some(Window::Interval))
    }

    pub(crate) fn dimensions(&self) -> usize {
        self.words.dimensions.len()
    }

    pub(crate) fn measures(&self) -> usize {
        self.words.measures.len()
    }

    /// The `ModelSpec` as a constant expression.
    pub(crate) fn spec(&self) -> TokenStream {
        let name = self.name.to_string();
        let Words { window, end, dimensions, measures, retention, rollups, index } = &self.words;
        let window = match window {
            None => quote!(None),
            Some(Window::Seconds(seconds)) => quote!(Seconds(#seconds)),
            Some(Window::Interval) => quote!(Interval),
        };
        let stamp = if *end { quote!(End) } else { quote!(Start) };
        let (retention, index) = (option(retention.as_ref()), option(index.as_ref()));
        let rollups = rollups.iter().map(|(_, window, retention)| {
            let retention = option(retention.as_ref());
            quote!((#window, #retention))
        });
        quote! {
            ::statmill_plugin_api::model::ModelSpec {
                name: #name,
                window: ::statmill_plugin_api::model::Window::#window,
                stamp: ::statmill_plugin_api::manifest::Stamp::#stamp,
                dimensions: &[#(#dimensions),*],
                measures: &[#(#measures),*],
                retention_s: #retention,
                rollups: &[#(#rollups),*],
                index: #index,
            }
        }
    }
}

fn option(value: Option<impl ToTokens>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}

impl ToTokens for Measure {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { name, unit, per_octave, keep, show } = self;
        let per_octave = per_octave.iter();
        let keep = keep.iter();
        tokens.extend(quote! {
            ::statmill_plugin_api::model::MeasureSpec {
                name: #name,
                unit: #unit,
                options: ::statmill_plugin_api::aggregate::MeasureOptions {
                    #(per_octave: #per_octave,)*
                    #(keep: #keep,)*
                    show: &[#(#show),*],
                    ..::statmill_plugin_api::aggregate::MeasureOptions::DEFAULT
                },
            }
        });
    }
}

impl Words {
    /// Checks what the words must have in common, with each other and with the field's type.
    fn check(&self, at: Span, ty: &Type) -> Result<()> {
        if self.measures.is_empty() {
            return Err(Error::new(at, "name the measures: `measures = [\"count\"]`"));
        }
        if let Some((dimensions, measures)) = parts(ty) {
            names_match(at, "dimension", "dimensions", dimensions, self.dimensions.len())?;
            names_match(at, "measure", "measures", measures, self.measures.len())?;
        }
        let names: Vec<&LitStr> = self
            .dimensions
            .iter()
            .chain(self.measures.iter().map(|measure| &measure.name))
            .collect();
        for (place, name) in names.iter().enumerate() {
            let text = name.value();
            if text.is_empty() || text.contains(|c: char| !(c.is_alphanumeric() || c == '_')) {
                return Err(Error::new(
                    name.span(),
                    "a column's name is of letters, digits and `_`",
                ));
            }
            if names[..place].iter().any(|earlier| earlier.value() == text) {
                return Err(Error::new(name.span(), "there is a column of this name already"));
            }
            let window_column = if self.end { "timestamp" } else { "time" };
            if self.window.is_some() && text == window_column {
                let message = format!("`{text}` is the window's column; choose another name");
                return Err(Error::new(name.span(), message));
            }
        }
        if let Some(index) = &self.index
            && !self.measures.iter().any(|measure| is_column_of(&measure.name, index))
        {
            let message = "`index` names one of the measures, or a column of one (`size_sum`)";
            return Err(Error::new(index.span(), message));
        }
        for (text, window, _) in &self.rollups {
            match self.window {
                None => {
                    let message =
                        "a model without `window` has no coarser copies: give it a window";
                    return Err(Error::new(text.span(), message));
                }
                Some(Window::Seconds(base)) if *window <= base || window % base != 0 => {
                    let message = "the window of a roll-up is a multiple of the model's window";
                    return Err(Error::new(text.span(), message));
                }
                _ => {}
            }
        }
        if self.window.is_none() && self.retention.is_some() {
            let message = "totals over all time have no age: `retention` needs a `window`";
            return Err(Error::new(at, message));
        }
        Ok(())
    }
}

/// Can `column` be one that the measure reads as: its own name, or that with a suffix?
fn is_column_of(measure: &LitStr, column: &LitStr) -> bool {
    let (measure, column) = (measure.value(), column.value());
    column.strip_prefix(&measure).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

fn names_match(at: Span, one: &str, word: &str, wanted: usize, given: usize) -> Result<()> {
    if wanted == given {
        return Ok(());
    }
    let message = match wanted {
        0 => format!("this Rollup has no {one}: leave `{word}` out"),
        1 => format!("name its 1 {one}: `{word} = [\"...\"]`"),
        _ => format!("name its {wanted} {word}, in order: `{word} = [\"...\", ...]`"),
    };
    Err(Error::new(at, message))
}

/// Numbers of dimensions and measures of a `Rollup<(…), …>`, where the type is written out; the
/// compiler checks the others.
fn parts(ty: &Type) -> Option<(usize, usize)> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    let mut types = arguments.args.iter();
    let (
        Some(GenericArgument::Type(Type::Tuple(dimensions))),
        Some(GenericArgument::Type(measures)),
    ) = (types.next(), types.next())
    else {
        return None;
    };
    let measures = match measures {
        Type::Tuple(measures) => measures.elems.len(),
        _ => 1,
    };
    Some((dimensions.elems.len(), measures))
}

impl Parse for Words {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut words = Self::default();
        let mut seen: Vec<Ident> = Vec::new();
        while !input.is_empty() {
            let word: Ident = input.parse()?;
            if seen.contains(&word) {
                return Err(Error::new(word.span(), format!("`{word}` is said twice")));
            }
            input
                .parse::<Token![=]>()
                .map_err(|error| Error::new(error.span(), format!("write `{word} = ...`")))?;
            match word.to_string().as_str() {
                "window" => words.window = Some(input.parse()?),
                "stamp" => words.end = stamp(&input.parse()?)?,
                "dimensions" => words.dimensions = list(input)?,
                "measures" => words.measures = list(input)?,
                "retention" => words.retention = Some(span::seconds(&input.parse()?)?),
                "rollups" => {
                    words.rollups =
                        list::<LitStr>(input)?.into_iter().map(rollup).collect::<Result<_>>()?;
                }
                "index" => words.index = Some(input.parse()?),
                _ => {
                    let message = "the words are window, stamp, dimensions, measures, retention, \
                                   rollups, index";
                    return Err(Error::new(word.span(), message));
                }
            }
            seen.push(word);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(words)
    }
}

impl Parse for Window {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.peek(LitStr) {
            return Ok(Self::Seconds(span::seconds(&input.parse()?)?));
        }
        let at = input.span();
        match input.parse::<Ident>() {
            Ok(word) if word == "interval" => Ok(Self::Interval),
            _ => Err(Error::new(
                at,
                "write a length of time like \"1h\", or `interval` for the stat's own interval",
            )),
        }
    }
}

impl Parse for Measure {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = input.parse()?;
        let mut measure =
            Self { name, unit: String::new(), per_octave: None, keep: None, show: Vec::new() };
        if !input.peek(token::Paren) {
            return Ok(measure);
        }
        let options;
        parenthesized!(options in input);
        while !options.is_empty() {
            let word: Ident = options.parse()?;
            options.parse::<Token![=]>()?;
            match word.to_string().as_str() {
                "unit" => measure.unit = options.parse::<LitStr>()?.value(),
                "per_octave" => measure.per_octave = Some(per_octave(&options.parse()?)?),
                "keep" => measure.keep = Some(keep(&options.parse()?)?),
                "show" => {
                    measure.show = list::<Quantile>(&options)?.into_iter().map(|it| it.0).collect();
                }
                _ => {
                    let message = "the options of a measure are unit, per_octave, show, keep";
                    return Err(Error::new(word.span(), message));
                }
            }
            if !options.is_empty() {
                options.parse::<Token![,]>()?;
            }
        }
        Ok(measure)
    }
}

/// A number in `0..=1`.
struct Quantile(f64);

impl Parse for Quantile {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let at = input.span();
        let value: f64 = if input.peek(LitInt) {
            input.parse::<LitInt>()?.base10_parse()?
        } else {
            input.parse::<LitFloat>()?.base10_parse()?
        };
        if !(0.0..=1.0).contains(&value) {
            return Err(Error::new(at, "a quantile lies in 0..=1: the median is 0.5"));
        }
        Ok(Self(value))
    }
}

fn per_octave(number: &LitInt) -> Result<u32> {
    match number.base10_parse()? {
        value @ 1..=1024 if u32::is_power_of_two(value) => Ok(value),
        _ => {
            Err(Error::new(number.span(), "a power of two up to 1024; 16 bounds the error by 1/16"))
        }
    }
}

fn keep(number: &LitInt) -> Result<u32> {
    match number.base10_parse()? {
        0 => Err(Error::new(number.span(), "keep at least 1")),
        value => Ok(value),
    }
}

fn stamp(text: &LitStr) -> Result<bool> {
    match text.value().as_str() {
        "start" => Ok(false),
        "end" => Ok(true),
        _ => Err(Error::new(text.span(), "write \"start\" or \"end\"")),
    }
}

/// `"30d"` or `"30d:400d"`.
fn rollup(text: LitStr) -> Result<(LitStr, u64, Option<u64>)> {
    let value = text.value();
    let (window, retention) = match value.split_once(':') {
        Some((window, retention)) => (window, Some(retention)),
        None => (value.as_str(), None),
    };
    let wrong =
        || Error::new(text.span(), "write `\"window\"` or `\"window:retention\"`: \"30d:400d\"");
    let window = span::parse(window).ok_or_else(wrong)?;
    let retention = match retention {
        Some(retention) => Some(span::parse(retention).ok_or_else(wrong)?),
        None => None,
    };
    Ok((text, window, retention))
}

/// `[a, b, …]`
fn list<T: Parse>(input: ParseStream<'_>) -> Result<Vec<T>> {
    if !input.peek(token::Bracket) {
        return Err(Error::new(input.span(), "write a list: `[...]`"));
    }
    let content;
    bracketed!(content in input);
    Ok(Punctuated::<T, Token![,]>::parse_terminated(&content)?.into_iter().collect())
}
