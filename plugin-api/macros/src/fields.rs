//! `fields!`: a struct with a typed method for each wanted field.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Error, Ident, LitStr, Result, Token, Visibility, braced};

/// Methods that every message has already.
const TAKEN: [&str; 7] =
    ["time", "topic", "offset", "log_key", "topic_sym", "topic_code", "text_of"];

/// `/// doc` `pub struct Event { key: sym "/key", … }`
pub(crate) struct Rows {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    name: Ident,
    fields: Punctuated<Field, Token![,]>,
}

struct Field {
    attributes: Vec<Attribute>,
    name: Ident,
    kind: Kind,
    pointer: String,
}

#[derive(Clone, Copy)]
enum Kind {
    Sym,
    Str,
    Int,
    Num,
    Bool,
    Time,
    Raw,
    Doc,
}

impl Parse for Rows {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        input.parse::<Token![struct]>().map_err(|error| {
            Error::new(error.span(), "write `pub struct Event { key: sym \"/key\" }`")
        })?;
        let name = input.parse()?;
        let content;
        braced!(content in input);
        let fields: Punctuated<Field, Token![,]> = Punctuated::parse_terminated(&content)?;
        for (place, field) in fields.iter().enumerate() {
            if fields.iter().take(place).any(|earlier| earlier.name == field.name) {
                return Err(Error::new(field.name.span(), "there is a field of this name already"));
            }
        }
        Ok(Self { attributes, visibility, name, fields })
    }
}

impl Parse for Field {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let name: Ident = input.call(Ident::parse_any)?;
        let plain = name.to_string();
        if plain == "time" || plain == "topic" {
            let message = format!(
                "every message has it: call `message.{plain}()`; give a field that differs from it \
                 another name"
            );
            return Err(Error::new(name.span(), message));
        }
        if TAKEN.contains(&plain.as_str()) {
            let message = format!("every message has a method `{plain}`; choose another name");
            return Err(Error::new(name.span(), message));
        }
        input.parse::<Token![:]>()?;
        let kind = Kind::parse(input)?;
        let pointer = match kind {
            Kind::Doc if !input.peek(LitStr) => String::new(),
            _ => pointer(
                kind,
                &input.parse().map_err(|error| {
                    Error::new(
                        error.span(),
                        "write where the value is, as a JSON pointer: \"/msg/key\"",
                    )
                })?,
            )?,
        };
        Ok(Self { attributes, name, kind, pointer })
    }
}

fn pointer(kind: Kind, text: &LitStr) -> Result<String> {
    let pointer = text.value();
    let wrong = |message: String| Err(Error::new(text.span(), message));
    match kind {
        Kind::Doc if pointer.is_empty() => return Ok(pointer),
        Kind::Doc => return wrong("`doc` is the whole document: leave the pointer out".into()),
        _ => {}
    }
    if pointer.is_empty() {
        return wrong(
            "the whole document is of kind `doc`; else write a pointer: \"/msg/key\"".into(),
        );
    }
    if !pointer.starts_with('/') {
        return wrong(format!(
            "a JSON pointer begins with a slash: write {:?}",
            format!("/{pointer}")
        ));
    }
    if pointer.split('~').skip(1).any(|after| !after.starts_with(['0', '1'])) {
        return wrong("in a JSON pointer `~` is written `~0`, and `/` in a name `~1`".into());
    }
    Ok(pointer)
}

impl Kind {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let word: Ident = input.call(Ident::parse_any)?;
        Ok(match word.to_string().as_str() {
            "sym" => Self::Sym,
            "str" => Self::Str,
            "int" => Self::Int,
            "num" => Self::Num,
            "bool" => Self::Bool,
            "time" => Self::Time,
            "raw" => Self::Raw,
            "doc" => Self::Doc,
            _ => {
                return Err(Error::new(
                    word.span(),
                    "the kinds are sym (text to group by), str (other text), int, num, bool, time, \
                     raw (JSON text of a sub-value) and doc (the whole document)",
                ));
            }
        })
    }

    /// Name in `FieldKind`, type, method of `Message`, and what the doc calls it.
    fn code(self) -> (TokenStream, TokenStream, TokenStream, &'static str) {
        let (kind, ty, method, what) = match self {
            Self::Sym => (
                quote!(Sym),
                quote!(::statmill_plugin_api::batch::Sym),
                quote!(sym_field),
                "text, coded",
            ),
            Self::Str => (quote!(Str), quote!(&'message str), quote!(str_field), "text"),
            Self::Int => (quote!(Int), quote!(i64), quote!(int_field), "a whole number"),
            Self::Num => (quote!(Num), quote!(f64), quote!(num_field), "a number"),
            Self::Bool => (quote!(Bool), quote!(bool), quote!(bool_field), "true or false"),
            Self::Time => {
                (quote!(Time), quote!(i64), quote!(int_field), "a time, in µs since 1970")
            }
            Self::Raw => (quote!(Raw), quote!(&'message [u8]), quote!(raw_field), "JSON text"),
            Self::Doc => (quote!(Doc), quote!(&'message [u8]), quote!(raw_field), "JSON text"),
        };
        (kind, ty, method, what)
    }
}

impl Rows {
    pub(crate) fn expand(&self) -> TokenStream {
        let Self { attributes, visibility, name, fields } = self;
        let constants = fields.iter().map(|field| {
            let (kind, ..) = field.kind.code();
            let (name, pointer) = (field.name.unraw().to_string(), &field.pointer);
            quote! {
                ::statmill_plugin_api::fields::Field {
                    name: #name,
                    pointer: #pointer,
                    kind: ::statmill_plugin_api::manifest::FieldKind::#kind,
                }
            }
        });
        let methods = fields.iter().enumerate().map(|(place, field)| {
            let (_, ty, method, what) = field.kind.code();
            let (attributes, name) = (&field.attributes, &field.name);
            let value = format_ident!("{}_value", name.unraw());
            let from = if field.pointer.is_empty() {
                "The document".to_owned()
            } else {
                format!("`{}`", field.pointer)
            };
            let doc = format!("{from} as {what}; `None` where there is none.");
            let value_doc = format!("{from} as {what}, or why there is none.");
            quote! {
                #[doc = #doc]
                #(#attributes)*
                #[inline]
                #[must_use]
                #visibility fn #name(&self) -> ::core::option::Option<#ty> {
                    self.#value().value()
                }

                #[doc = #value_doc]
                #[inline]
                #[must_use]
                #visibility fn #value(&self) -> ::statmill_plugin_api::fields::FieldValue<#ty> {
                    self.message.#method(#place)
                }
            }
        });
        quote! {
            #(#attributes)*
            #[derive(Clone, Copy)]
            #visibility struct #name<'message> {
                message: ::statmill_plugin_api::batch::Message<'message>,
            }

            #[allow(dead_code)]
            impl<'message> #name<'message> {
                /// The fields, for the stat's `FIELDS`.
                #visibility const FIELDS: ::statmill_plugin_api::fields::Fields =
                    ::statmill_plugin_api::fields::Fields(&[#(#constants),*]);

                #(#methods)*
            }

            impl<'message> ::statmill_plugin_api::fields::FieldSet<'message> for #name<'message> {
                const FIELDS: ::statmill_plugin_api::fields::Fields = Self::FIELDS;

                #[inline]
                fn of(message: ::statmill_plugin_api::batch::Message<'message>) -> Self {
                    Self { message }
                }
            }

            impl<'message> ::core::ops::Deref for #name<'message> {
                type Target = ::statmill_plugin_api::batch::Message<'message>;

                #[inline]
                fn deref(&self) -> &Self::Target {
                    &self.message
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::Rows;

    #[test]
    fn an_error_says_what_to_write() {
        for (field, expected) in [
            (r#"key: sym "key""#, r#"a JSON pointer begins with a slash: write "/key""#),
            (r#"key: sym """#, "the whole document is of kind `doc`"),
            (r#"key: sym "/a~b""#, "in a JSON pointer `~` is written `~0`"),
            (r#"key: text "/key""#, "the kinds are sym (text to group by)"),
            (r#"key: sym"#, r#"write where the value is, as a JSON pointer: "/msg/key""#),
            (r#"key: doc "/key""#, "`doc` is the whole document: leave the pointer out"),
            (r#"time: int "/t""#, "every message has it: call `message.time()`"),
            (r#"offset: int "/t""#, "every message has a method `offset`; choose another name"),
            (r#"a: int "/a", a: int "/b""#, "there is a field of this name already"),
        ] {
            let parsed = syn::parse_str::<Rows>(&format!("struct Event {{ {field} }}"));
            let error = parsed.err().unwrap().to_string();
            assert!(error.starts_with(expected), "{field}: {error}");
        }
    }
}
