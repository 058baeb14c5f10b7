//! Messages of the stories, a line each: `Double(u64) -> "u64";`.

/// Declares messages with their results.
macro_rules! messages {
    ($($(#[$meta:meta])* $name:ident $body:tt -> $result:tt;)*) => {$(
        messages!(@one [$(#[$meta])* #[derive(Clone, Debug, Message, Serialize, Deserialize)] #[rtype(result = $result)]] $name $body);
    )*};
    (@one [$($attributes:tt)*] $name:ident ()) => { $($attributes)* pub(crate) struct $name; };
    (@one [$($attributes:tt)*] $name:ident ($($field:ty),+)) => { $($attributes)* pub(crate) struct $name($(pub(crate) $field),+); };
    (@one [$($attributes:tt)*] $name:ident {$($field:ident: $type:ty),+}) => { $($attributes)* pub(crate) struct $name { $(pub(crate) $field: $type),+ } };
}
