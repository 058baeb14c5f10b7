//! ipc-channel: typed objects below 64 KiB, its byte channels for larger messages, which are its best for
//! each.

use std::error::Error;

use ipc_channel::ipc::{self, IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcReceiver, IpcSender};
use serde::{Deserialize, Serialize};

use super::ours::Object;
use super::{Measured, Work, clock, command, place};

/// From this size on bytes are sent.
const BYTES_FROM: usize = 64 << 10;

#[derive(Serialize, Deserialize)]
struct Channels {
    objects: IpcSender<Object>,
    object_echoes: IpcReceiver<Object>,
    bytes: IpcBytesSender,
    byte_echoes: IpcBytesReceiver,
}

/// The parent's side.
pub(crate) fn measure(work: Work) -> Measured {
    let (server, name) = IpcOneShotServer::<Channels>::new()?;
    let mut command = command("ipc_channel", work)?;
    command.envs([place::variable()]).env("PROCESSION_BENCH_IPC", name);
    let mut child = command.spawn()?;
    let (_, channels) = server.accept()?;
    let object = Object::new(work.size);
    let bytes = vec![7; work.size];
    let figures = clock(
        work,
        || {
            match work.size < BYTES_FROM {
                true => {
                    channels.objects.send(object.clone())?;
                    channels.object_echoes.recv()?;
                }
                false => {
                    channels.bytes.send(&bytes)?;
                    channels.byte_echoes.recv()?;
                }
            }
            Ok(())
        },
        || {
            for _ in 0..work.swallows {
                match work.size < BYTES_FROM {
                    true => channels.objects.send(object.clone())?,
                    false => channels.bytes.send(&bytes)?,
                }
            }
            channels.byte_echoes.recv()?;
            Ok(())
        },
    )?;
    child.wait()?;
    Ok(figures)
}

/// The other side.
pub(crate) fn child(work: Work) -> Result<(), Box<dyn Error>> {
    let (objects, incoming_objects) = ipc::channel::<Object>()?;
    let (outgoing_objects, object_echoes) = ipc::channel::<Object>()?;
    let (bytes, incoming_bytes) = ipc::bytes_channel()?;
    let (outgoing_bytes, byte_echoes) = ipc::bytes_channel()?;
    let parent = IpcSender::connect(std::env::var("PROCESSION_BENCH_IPC")?)?;
    parent.send(Channels { objects, object_echoes, bytes, byte_echoes })?;
    for _ in 0..work.echoes {
        match work.size < BYTES_FROM {
            true => outgoing_objects.send(incoming_objects.recv()?)?,
            false => outgoing_bytes.send(&incoming_bytes.recv()?)?,
        }
    }
    for _ in 0..work.swallows {
        match work.size < BYTES_FROM {
            true => drop(incoming_objects.recv()?),
            false => drop(incoming_bytes.recv()?),
        }
    }
    outgoing_bytes.send(b"done")?;
    Ok(())
}
