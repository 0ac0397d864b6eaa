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
