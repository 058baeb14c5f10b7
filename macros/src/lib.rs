//! Derives of Procession; use them through the `procession` crate.

mod expand;
mod ir;
mod parse;

use proc_macro::TokenStream;

/// Makes an actor addressable from other processes.
///
/// ```ignore
/// #[derive(ProcActor)]
/// #[proc_actor(messages(Add, Get as "get-v1"), name = "demo::Counter")]
/// struct Counter { total: u64 }
/// ```
///
/// `messages` is the list of messages that other processes may send: for each the actor implements actix's `Handler`.
/// A message's name within the actor's protocol is its type's name, or the one given after `as`; `name` is the
/// type's name in topologies, by default `module::path::Type`. Two programs that exchange a message must agree on
/// both.
#[proc_macro_derive(ProcActor, attributes(proc_actor))]
pub fn derive_proc_actor(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    match parse::actor(&input) {
        Ok(actor) => expand::actor(&actor).into(),
        Err(error) => error.to_compile_error().into(),
    }
}
