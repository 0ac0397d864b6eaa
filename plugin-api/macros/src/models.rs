//! `#[derive(Models)]`: the implementation for a struct.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, Result};

use crate::model::Model;

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let what_to_write = "a stat is a struct with a `Rollup` for each model: \
                         `#[model(measures = [\"count\"])] total: Rollup<(), (Count,)>`";
    let Data::Struct(data) = &input.data else {
        return Err(Error::new(input.ident.span(), what_to_write));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new(input.ident.span(), what_to_write));
    };
    let mut models = Vec::new();
    for field in &fields.named {
        models.extend(Model::of(field)?);
    }
    if models.is_empty() {
        return Err(Error::new(input.ident.span(), what_to_write));
    }
    let name = &input.ident;
    let (impl_generics, ty_generics, where_clause) = input.generics.split_for_impl();
    let needs_interval = models.iter().any(Model::needs_interval);
    let manifests = models.iter().map(|model| {
        let (ty, spec) = (&model.ty, model.spec());
        let (dimensions, measures) = (model.dimensions(), model.measures());
        quote!(<#ty>::manifest::<#dimensions, #measures>(&#spec, interval_s)?)
    });
    let prepares = models.iter().map(|model| {
        let (field, spec) = (&model.name, model.spec());
        quote!(self.#field.prepare(&#spec, interval_s)?;)
    });
    let fields = models.iter().map(|model| &model.name);
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics ::statmill_plugin_api::model::Models for #name #ty_generics #where_clause {
            const NEEDS_INTERVAL: bool = #needs_interval;

            fn manifests(interval_s: ::core::option::Option<u64>) -> ::core::result::Result<
                ::std::vec::Vec<::statmill_plugin_api::manifest::ModelManifest>,
                ::statmill_plugin_api::stat::PluginError,
            > {
                ::core::result::Result::Ok(::std::vec![#(#manifests),*])
            }

            fn prepare(
                &mut self,
                interval_s: ::core::option::Option<u64>,
            ) -> ::core::result::Result<(), ::statmill_plugin_api::stat::PluginError> {
                #(#prepares)*
                ::core::result::Result::Ok(())
            }

            fn models(&mut self) -> ::std::vec::Vec<&mut dyn ::statmill_plugin_api::model::Model> {
                ::std::vec![#(&mut self.#fields),*]
            }
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::expand;

    fn error(attribute: &str, ty: &str) -> String {
        let source = format!("struct Stat {{ #[model({attribute})] rows: {ty} }}");
        expand(&syn::parse_str(&source).unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn an_error_says_what_to_write() {
        let total = "Rollup<(), Count>";
        for (attribute, ty, expected) in [
            ("", total, r#"name the measures: `measures = ["count"]`"#),
            (r#"measures = ["a", "b"]"#, total, r#"name its 1 measure: `measures = ["..."]`"#),
            (
                r#"dimensions = ["a"], measures = ["n"]"#,
                total,
                "this Rollup has no dimension: leave `dimensions` out",
            ),
            (
                r#"dimensions = ["a"], measures = ["n"]"#,
                "Rollup<(Sym, Sym), (Count,)>",
                r#"name its 2 dimensions, in order: `dimensions = ["...", ...]`"#,
            ),
            (
                r#"window = "hour", measures = ["n"]"#,
                total,
                r#"write a length of time like "15s", "5m", "1h", "1d12h" or "2w""#,
            ),
            (
                r#"window = hour, measures = ["n"]"#,
                total,
                r#"write a length of time like "1h", or `interval` for the stat's own interval"#,
            ),
            (
                r#"window = "1h", rollups = ["90m"], measures = ["n"]"#,
                total,
                "the window of a roll-up is a multiple of the model's window",
            ),
            (
                r#"rollups = ["1d"], measures = ["n"]"#,
                total,
                "a model without `window` has no coarser copies: give it a window",
            ),
            (
                r#"window = "1h", measures = ["time"]"#,
                total,
                "`time` is the window's column; choose another name",
            ),
            (r#"index = "m", measures = ["n"]"#, total, "`index` names one of the measures"),
            (r#"measure = ["n"]"#, total, "the words are window, stamp, dimensions, measures, "),
            (r#"measures = "n""#, total, "write a list: `[...]`"),
            (
                r#"measures = ["n"(show = [50])]"#,
                total,
                "a quantile lies in 0..=1: the median is 0.5",
            ),
            (r#"stamp = "last", measures = ["n"]"#, total, r#"write "start" or "end""#),
        ] {
            let error = error(attribute, ty);
            assert!(error.starts_with(expected), "{attribute}: {error}");
        }
    }

    #[test]
    fn a_rollup_without_its_attribute_is_refused() {
        let source = r#"struct Stat {
            #[model(measures = ["n"])]
            a: Rollup<(), Count>,
            b: Rollup<(), Count>,
        }"#;
        let error = expand(&syn::parse_str(source).unwrap()).unwrap_err().to_string();
        assert!(error.contains("the host would never see it"), "{error}");
    }

    #[test]
    fn a_struct_without_models_is_told_what_a_model_looks_like() {
        for source in ["struct Stat { n: u64 }", "struct Stat;", "enum Stat { A }"] {
            let error = expand(&syn::parse_str(source).unwrap()).unwrap_err().to_string();
            assert!(error.contains("a `Rollup` for each model"), "{error}");
        }
    }
}
