//! Reads all regular files below a folder and deals their contents out to whoever has room.
//!
//! Memory is flat whatever the folder holds: a few pieces are under way, and reading waits for room.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use procession::prelude::*;
use tokio::sync::mpsc;
use walkdir::WalkDir;

/// A piece of a file; the last that a receiver gets is empty. Words, that is maximal runs of ASCII letters and digits, are never cut, and a piece has bytes of
/// one file alone.
#[derive(Message, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct Piece(pub Bytes);

/// Reads everything. The reply comes when every receiver has handled its pieces, so whoever asks a receiver for its
/// result after it misses none: order is promised from one sender alone (M-1), and the asker is another.
#[derive(Message, Serialize, Deserialize, Debug, Clone)]
#[rtype(result = "Result<FilesRead, String>")]
pub struct ReadAll {
    /// Below this folder. Symbolic links are not followed.
    pub folder: PathBuf,
}

/// What was read.
#[derive(Serialize, Deserialize, Debug, Clone, Default, PartialEq, Eq)]
pub struct FilesRead {
    /// Files that were read to their end.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files and folders that could not be read, or not to their end.
    pub unreadable: u64,
    /// The first of them, each with the reason; at most [`MAX_NAMED`].
    pub named: Vec<String>,
}

/// Of the unreadable files so many are named in the reply; the log has all.
pub const MAX_NAMED: usize = 100;

/// How much is read and sent at once: large enough that a piece costs little beside its bytes.
const PIECE_BYTES: usize = 256 << 10;

/// How long receivers may take for what they were sent. Their death is told at once; this is for those that hang.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Pieces that wait between the thread that reads and the actor that sends.
const PIECES_READY: usize = 2;

/// A run of letters and digits longer than this is no word of any language, and holding it would break the bound
/// on memory: the rest of its file is given up, and the file is named as unreadable.
pub const MAX_WORD_BYTES: usize = 4 << 20;

/// See the [module](self).
#[derive(ProcActor, Debug)]
#[proc_actor(messages(ReadAll))]
pub struct Files {
    receivers: Vec<ProcRecipient<Piece>>,
}

/// What a topology says about it.
#[derive(Serialize, Deserialize, Debug, Clone)]
#[serde(deny_unknown_fields)]
pub struct FilesArgs {
    /// Who gets the pieces.
    pub receivers: Vec<ProcRecipient<Piece>>,
}

impl Actor for Files {
    type Context = Context<Self>;
}

impl Spawn for Files {
    type Args = FilesArgs;

    fn spawn(args: FilesArgs, _: &Birth) -> Result<Self, SpawnError> {
        match args.receivers.is_empty() {
            true => Err("`receivers` must name at least one actor".into()),
            false => Ok(Files { receivers: args.receivers }),
        }
    }
}

impl Handler<ReadAll> for Files {
    type Result = ResponseFuture<Result<FilesRead, String>>;

    fn handle(&mut self, ReadAll { folder }: ReadAll, _: &mut Context<Self>) -> Self::Result {
        let receivers = self.receivers.clone();
        Box::pin(async move {
            let (pieces, mut ready) = mpsc::channel(PIECES_READY);
            let reading = tokio::task::spawn_blocking(move || read_all(&folder, &pieces));
            let mut dealer = Dealer { receivers, next: 0 };
            while let Some(piece) = ready.recv().await {
                dealer.deal(piece).await.map_err(|error| error.to_string())?;
            }
            dealer.all_handled().await.map_err(|error| error.to_string())?;
            reading.await.map_err(|error| error.to_string())?
        })
    }
}

/// Gives each piece to the next receiver that has room, so that a slow one slows only itself.
struct Dealer {
    receivers: Vec<ProcRecipient<Piece>>,
    next: usize,
}

impl Dealer {
    async fn deal(&mut self, piece: Piece) -> Result<(), SendError<Piece>> {
        let mut piece = piece;
        for _ in 0..self.receivers.len() {
            match self.turn().try_send(piece) {
                Ok(()) => return Ok(()),
                Err(error) => match error.into_message() {
                    Some(back) => piece = back,
                    None => unreachable!("a message that was not sent comes back"),
                },
            }
        }
        self.turn().tell(piece).await
    }

    /// An empty piece as a request goes the way of all before it, so its reply says that they were handled.
    async fn all_handled(&self) -> Result<(), SendError<Piece>> {
        let last = |receiver: &ProcRecipient<Piece>| receiver.send(Piece(Bytes::new())).timeout(PATIENCE);
        let last: Vec<_> = self.receivers.iter().map(last).collect();
        for reply in last {
            reply.await?;
        }
        Ok(())
    }

    fn turn(&mut self) -> &ProcRecipient<Piece> {
        self.next = (self.next + 1) % self.receivers.len();
        &self.receivers[self.next]
    }
}

/// On a thread of its own, since reading blocks. Ends early if nobody takes the pieces any more.
fn read_all(folder: &Path, pieces: &mpsc::Sender<Piece>) -> Result<FilesRead, String> {
    std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut read = FilesRead::default();
    for entry in WalkDir::new(folder) {
        let unreadable = match entry {
            Ok(entry) if !entry.file_type().is_file() => continue,
            Ok(entry) => match read_file(entry.path(), pieces) {
                Ok(bytes) => {
                    read.files += 1;
                    read.bytes += bytes;
                    continue;
                }
                Err(Stop::Unreadable(reason)) => format!("{}: {reason}", entry.path().display()),
                Err(Stop::Unwanted) => return Err("the receivers are gone".to_owned()),
            },
            Err(error) => error.to_string(),
        };
        tracing::warn!("unreadable: {unreadable}");
        read.unreadable += 1;
        if read.named.len() < MAX_NAMED {
            read.named.push(unreadable);
        }
    }
    Ok(read)
}

enum Stop {
    Unreadable(String),
    Unwanted,
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Stop {
        Stop::Unreadable(error.to_string())
    }
}

fn read_file(path: &Path, pieces: &mpsc::Sender<Piece>) -> Result<u64, Stop> {
    let mut file = File::open(path)?;
    let mut total = 0;
    // What was read and not yet sent: the beginning of a word that may go on.
    let mut held = Vec::new();
    loop {
        held.reserve(PIECE_BYTES);
        let read = (&mut file).take(PIECE_BYTES as u64).read_to_end(&mut held)?;
        total += read as u64;
        if read == 0 {
            return send(held, pieces).map(|()| total);
        }
        let end = held.iter().rposition(|byte| !byte.is_ascii_alphanumeric()).map_or(0, |at| at + 1);
        if held.len() - end > MAX_WORD_BYTES {
            let reason =
                format!("a word of more than {MAX_WORD_BYTES} bytes at byte {}", total - held.len() as u64);
            return Err(Stop::Unreadable(reason));
        }
        let rest = held.split_off(end);
        send(std::mem::replace(&mut held, rest), pieces)?;
    }
}

fn send(bytes: Vec<u8>, pieces: &mpsc::Sender<Piece>) -> Result<(), Stop> {
    match bytes.is_empty() {
        true => Ok(()),
        false => pieces.blocking_send(Piece(Bytes::from(bytes))).map_err(|_| Stop::Unwanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces_of(folder: &Path) -> (FilesRead, Vec<Vec<u8>>) {
        let (sender, mut pieces) = mpsc::channel(1000);
        let read = read_all(folder, &sender).expect("a folder");
        drop(sender);
        let mut all = Vec::new();
        while let Ok(Piece(bytes)) = pieces.try_recv() {
            all.push(bytes.to_vec());
        }
        (read, all)
    }

    #[test]
    fn pieces_are_the_file_and_cut_no_word() {
        let folder = tempfile::tempdir().expect("a folder");
        let text: String = (0..200_000).map(|number| format!("word{number} ")).collect();
        std::fs::write(folder.path().join("a"), &text).expect("written");
        std::fs::write(folder.path().join("empty"), "").expect("written");
        let (read, pieces) = pieces_of(folder.path());
        assert_eq!((read.files, read.bytes, read.unreadable), (2, text.len() as u64, 0));
        assert!(pieces.len() > 5);
        assert!(pieces.iter().all(|piece| !piece[0].is_ascii_whitespace() && piece.ends_with(b" ")));
        assert_eq!(pieces.concat(), text.as_bytes());
    }

    #[test]
    fn an_endless_word_is_given_up_and_named() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("long"), vec![b'x'; MAX_WORD_BYTES + PIECE_BYTES + 1])
            .expect("written");
        std::fs::write(folder.path().join("short"), "x").expect("written");
        let (read, pieces) = pieces_of(folder.path());
        assert_eq!((read.files, read.unreadable, pieces.len()), (1, 1, 1));
        assert!(read.named[0].contains("long: a word of more than"));
    }

    #[test]
    fn links_are_not_followed_and_a_missing_folder_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).expect("linked");
        std::os::unix::fs::symlink(folder.path(), folder.path().join("round")).expect("linked");
        assert_eq!(pieces_of(folder.path()).0, FilesRead::default());
        let (sender, _pieces) = mpsc::channel(1);
        assert!(read_all(&folder.path().join("nowhere"), &sender).is_err());
    }
}
