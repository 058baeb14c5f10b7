//! Reads `#[proc_actor(...)]`; every error points at the token that is wrong and says the mend.

use quote::ToTokens;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{DeriveInput, Error, LitStr, Result, Token, Type, parenthesized};

use crate::ir::{Actor, Message};

const USAGE: &str =
    "write `#[proc_actor(messages(First, Second))]` with the messages that other processes may send";

pub(crate) fn actor(input: &DeriveInput) -> Result<Actor> {
    if !input.generics.params.is_empty() {
        let message = "a generic actor has no one name that other processes could know it by: derive `ProcActor` \
                       for a type without parameters that wraps it";
        return Err(Error::new(input.generics.span(), message));
    }
    let mut actor = Actor { ident: input.ident.clone(), name: None, messages: Vec::new() };
    let mut listed = false;
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("proc_actor")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("messages") {
                listed = true;
                let content;
                parenthesized!(content in meta.input);
                let list = Punctuated::<Message, Token![,]>::parse_terminated(&content)?;
                actor.messages.extend(list);
                Ok(())
            } else if meta.path.is_ident("name") {
                let name: LitStr = meta.value()?.parse()?;
                actor.name = Some(checked(name)?);
                Ok(())
            } else {
                Err(meta.error("there is only `messages(...)` and `name = \"...\"` here"))
            }
        })?;
    }
    if !listed {
        return Err(Error::new(input.ident.span(), format!("the message list is missing: {USAGE}")));
    }
    refuse_duplicates(&actor.messages)?;
    Ok(actor)
}

impl Parse for Message {
    fn parse(input: ParseStream<'_>) -> Result<Message> {
        let ty: Type = input.parse()?;
        let name = match input.parse::<Option<Token![as]>>()? {
            Some(_) => checked(input.parse()?)?,
            None => LitStr::new(&plain_name(&ty)?, ty.span()),
        };
        Ok(Message { ty, name })
    }
}

/// The last segment of a path: what `ProcRecipient` looks for when it knows the message alone.
fn plain_name(ty: &Type) -> Result<String> {
    let unnamed = || Error::new(ty.span(), "this type has no plain name: give it one, `Type as \"name\"`");
    let Type::Path(path) = ty else { return Err(unnamed()) };
    let last = path.path.segments.last().ok_or_else(unnamed)?;
    match last.arguments.is_empty() {
        true => Ok(last.ident.to_string()),
        false => Ok(path.path.segments.last().to_token_stream().to_string().replace(' ', "")),
    }
}

fn checked(name: LitStr) -> Result<LitStr> {
    match name.value().trim().is_empty() {
        true => Err(Error::new(name.span(), "a name can't be empty")),
        false => Ok(name),
    }
}

fn refuse_duplicates(messages: &[Message]) -> Result<()> {
    for (at, message) in messages.iter().enumerate() {
        if messages[..at].iter().any(|earlier| earlier.name.value() == message.name.value()) {
            let name = message.name.value();
            let text = format!(
                "the list has a message named {name:?} already: remove it, or name it, `Type as \"other\"`"
            );
            return Err(Error::new(message.ty.span(), text));
        }
    }
    Ok(())
}
