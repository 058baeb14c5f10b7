//! Writes the implementations. All logic is in the library; what is written here only names types.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use crate::ir::{Actor, Message};

pub(crate) fn actor(actor: &Actor) -> TokenStream {
    let ident = &actor.ident;
    let name = match &actor.name {
        Some(name) => quote!(#name),
        None => quote!(::core::concat!(::core::module_path!(), "::", ::core::stringify!(#ident))),
    };
    let types: Vec<_> = actor.messages.iter().map(|message| &message.ty).collect();
    let accepts = actor.messages.iter().map(|message| accepts(ident, message));
    quote! {
        #[automatically_derived]
        impl ::procession::address::ProcActor for #ident {
            const TYPE_NAME: &'static str = #name;

            fn messages() -> &'static [::procession::address::MessageEntry<Self>] {
                const TABLE: &[::procession::address::MessageEntry<#ident>] =
                    &[#(::procession::address::MessageEntry::new::<#types>()),*];
                TABLE
            }

            fn serving() -> ::core::option::Option<::procession::address::Serving<Self>> {
                // The first trait that fits says how.
                #[allow(unused_imports)]
                use ::procession::address::{Serves as _, ServesNot as _};
                (&::procession::address::Probe::<Self>::NEW).serving()
            }
        }

        #[automatically_derived]
        impl ::procession::actix::Handler<::procession::address::StopActor> for #ident {
            type Result = ();

            fn handle(&mut self, _: ::procession::address::StopActor, context: &mut Self::Context) {
                ::procession::actix::ActorContext::stop(context)
            }
        }

        #[automatically_derived]
        impl ::procession::actix::Handler<::procession::address::Visit> for #ident {
            type Result = ();

            fn handle(&mut self, visit: ::procession::address::Visit, context: &mut Self::Context) {
                ::procession::address::handle_visit(self, visit, context)
            }
        }

        #[automatically_derived]
        impl ::procession::actix::Handler<::procession::address::Arrived> for #ident {
            type Result = ();

            fn handle(&mut self, arrived: ::procession::address::Arrived, context: &mut Self::Context) {
                ::procession::address::handle_arrived(self, arrived, context)
            }
        }

        #[automatically_derived]
        impl ::procession::actix::Handler<::procession::address::Attend> for #ident {
            type Result = ();

            fn handle(&mut self, attend: ::procession::address::Attend, context: &mut Self::Context) {
                ::procession::address::handle_attend::<Self>(attend, context)
            }
        }

        // Never sent: with one message alone in the list, the compiler would take any other for a wrong value of its
        // type, and not say that it is not in the list.
        #[automatically_derived]
        impl ::procession::address::Accepts<::procession::address::Never> for #ident {
            const NAME: &'static str = "";
        }

        #[automatically_derived]
        impl ::procession::actix::Handler<::procession::address::Never> for #ident {
            type Result = ();

            fn handle(&mut self, never: ::procession::address::Never, _: &mut Self::Context) {
                match never {}
            }
        }

        #(#accepts)*

        const _: () = ::core::assert!(
            !::procession::address::duplicate_message(&[
                #(<#ident as ::procession::address::Accepts<#types>>::ID),*
            ]),
            "two messages of this actor have names with the same hash: give one another name, `Type as \"name\"`",
        );
    }
}

/// At the message's own span, so that a missing `Handler` or `Serialize` is shown there.
fn accepts(ident: &syn::Ident, message: &Message) -> TokenStream {
    let (ty, name) = (&message.ty, &message.name);
    quote_spanned! {ty.span()=>
        #[automatically_derived]
        impl ::procession::address::Accepts<#ty> for #ident {
            const NAME: &'static str = #name;
        }

        #[automatically_derived]
        impl ::procession::actix::Handler<::procession::address::Inbound<#ty>> for #ident {
            type Result = ();

            fn handle(
                &mut self,
                inbound: ::procession::address::Inbound<#ty>,
                context: &mut Self::Context,
            ) {
                ::procession::address::handle_inbound(self, inbound, context)
            }
        }
    }
}
