//! Handlers of the stories' actors, a line each: `Double -> u64: |this, Double(value), context| value * 2;`.

/// Declares the handlers of one actor. Each has its result at hand, or comes by a future.
macro_rules! handle {
    (for $actor:ident; $($message:ident -> $result:ty: |$this:ident, $what:pat_param, $context:pat_param| $body:expr;)*) => {$(
        impl Handler<$message> for $actor {
            type Result = $result;

            #[allow(unused_variables)]
            fn handle(&mut self, $what: $message, $context: &mut Context<Self>) -> Self::Result {
                let $this = self;
                $body
            }
        }
    )*};
}
