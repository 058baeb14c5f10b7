//! Addresses that are good for less: for one message, for so many, for a time, or until they are taken back.

use std::time::{Duration, SystemTime};

use super::actor::{ProcActor, ProcMessage};
use super::addr::ProcAddr;
use super::context;
use super::recipient::ProcRecipient;
use super::target::Target;
use crate::id::{Condition, Tag};
use crate::protocol::wire::{Cause, Failure};
use crate::sys::clock;

fn limited(target: &Target, messages: u32) -> Result<Target, Cause> {
    let router = context::current().ok_or(Cause::NoRuntime)?;
    // What is counted is counted by one life.
    target.pinned(&router)?.narrowed(&router, Condition::Count(messages, tag()?))
}

fn for_duration(target: &Target, time: Duration) -> Result<Target, Cause> {
    let router = context::current().ok_or(Cause::NoRuntime)?;
    let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    target.narrowed(&router, Condition::Until(clock::now_ms().saturating_add(ms).min(LAST_MOMENT_MS)))
}

/// A moment has nine times seven bits, which is some ten million years more than any machine runs.
const LAST_MOMENT_MS: u64 = (1 << 63) - 1;

fn until(target: &Target, moment: SystemTime) -> Result<Target, Cause> {
    // Clocks jump; what is said to be past is good for nothing at once.
    for_duration(target, moment.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO))
}

fn revocable(target: &Target) -> Result<Target, Cause> {
    let router = context::current().ok_or(Cause::NoRuntime)?;
    target.narrowed(&router, Condition::Mark(tag()?))
}

fn revoke(target: &Target) -> Result<(), Cause> {
    let router = context::current().ok_or(Cause::NoRuntime)?;
    router.revoke(&target.resolve(&router)?)
}

fn tag() -> Result<Tag, Cause> {
    let mut bytes = [0; 6];
    let filled = getrandom::fill(&mut bytes);
    filled.map_err(|error| Cause::NotNarrowed(format!("no random number: {error}")))?;
    Ok(Tag(bytes))
}

macro_rules! narrowing {
    ($name:ident<$type:ident: $bound:ident>, $make:expr) => {
        impl<$type: $bound> $name<$type> {
            /// The same address, good for so many messages, whoever sends them: those who share it, or what was made from
            /// it, share the number. The owner counts what arrives (at least once: each delivery), and refuses the next
            /// as [`Cause::UsedUp`].
            ///
            /// It is for the life of the actor's process that is known here, as by [`pin`](ProcAddr::pin): what was not
            /// used when that ended is lost.
            ///
            /// # Errors
            /// No life is known yet, there is no room for another condition ([`Cause::NotNarrowed`]), or the address is a
            /// name that can't be looked up here.
            pub fn limited(&self, messages: u32) -> Result<Self, Failure> {
                limited(self.target(), messages)
                    .map(|target| $make(self, target))
                    .map_err(Failure::not_executed)
            }

            /// The same address, good for this long from now, by a clock that all processes of the machine share and that
            /// no change of the time of day moves (H56). What arrives later is refused as [`Cause::Expired`].
            ///
            /// # Errors
            /// There is no room for another condition, or the address is a name that can't be looked up here.
            pub fn for_duration(&self, time: Duration) -> Result<Self, Failure> {
                for_duration(self.target(), time)
                    .map(|target| $make(self, target))
                    .map_err(Failure::not_executed)
            }

            /// As [`for_duration`](Self::for_duration), for the time from now to then.
            ///
            /// # Errors
            /// As for that.
            pub fn until(&self, moment: SystemTime) -> Result<Self, Failure> {
                until(self.target(), moment).map(|target| $make(self, target)).map_err(Failure::not_executed)
            }

            /// A copy of the address that can be revoked alone. It is equal to no other.
            ///
            /// # Errors
            /// There is no room for another condition, or the address is a name that can't be looked up here.
            pub fn revocable(&self) -> Result<Self, Failure> {
                revocable(self.target()).map(|target| $make(self, target)).map_err(Failure::not_executed)
            }

            /// Takes the address back, and with it all that were made from it, by whomever: whoever sends by one gets the
            /// message back with [`Cause::Revoked`]. What has arrived is handled. It holds for all lives of the process.
            ///
            /// Revoking the address that the topology gave takes it from all who are wired to the actor; hand out
            /// [`revocable`](Self::revocable) copies to take back one.
            ///
            /// # Errors
            /// [`Cause::NotOwner`]: the actor lives elsewhere. [`Cause::NoRight`]: it is no address. [`Cause::Full`] with
            /// 65 536 that were revoked.
            pub fn revoke(&self) -> Result<(), Failure> {
                revoke(self.target()).map_err(Failure::not_executed)
            }
        }
    };
}

narrowing!(ProcAddr<A: ProcActor>, |_: &ProcAddr<A>, target| ProcAddr::new(target));
narrowing!(ProcRecipient<M: ProcMessage>, |one: &ProcRecipient<M>, target| ProcRecipient::new(target, one.id()));
