//! The file of a SQLite database, and whether it is still the one that is open.
//!
//! Whoever puts a copy in the place of the file leaves the connections of every node with the old one: what
//! they write is lost, and other nodes read the copy.

use std::{
    fs::{File, Metadata, metadata},
    io::Read as _,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{clock::Stopwatch, maybe_ready::StoreError};

/// The length of the header of a SQLite file, and how it begins.
const HEADER: usize = 100;
const MAGIC: &[u8] = b"SQLite format 3\0";

/// The file that the connections of a store have opened.
pub(super) struct DatabaseFile {
    path: PathBuf,
    opened: Mutex<Opened>,
}

struct Opened {
    /// `None` if the system gives files no identity.
    file: Option<FileId>,
    /// The files of SQLite beside it, as they were last looked at.
    beside: [Option<FileId>; 2],
    /// How long connections have been to this file.
    since: Stopwatch,
    is_replaced: bool,
}

/// Tells files apart while they are open.
#[derive(Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl DatabaseFile {
    /// The file at `path`, before a connection to it is opened.
    pub(super) fn new(path: &Path) -> Self {
        let file = metadata(path).ok().and_then(|found| id(&found));
        let opened =
            Opened { file, beside: [None; 2], since: Stopwatch::start(), is_replaced: false };
        Self { path: path.to_owned(), opened: Mutex::new(opened) }
    }

    /// Checks that the file is there, before a statement is sent.
    ///
    /// # Errors
    /// If it is missing, or another one is there that is not whole, or beside which SQLite's files of the old
    /// one are: SQLite would take those for its own.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let mut opened = self.opened();
        if opened.file.is_none() {
            return Ok(());
        }
        let Ok(found) = metadata(&self.path) else {
            return Err(StoreError::new(
                "the SQLite file is gone: put it back, or start the node anew",
            ));
        };
        let file = id(&found);
        if file == opened.file {
            return Ok(());
        }
        let stays =
            |(now, before): (Option<FileId>, Option<FileId>)| now.is_some() && now == before;
        if self.beside().into_iter().zip(opened.beside).any(stays) {
            return Err(StoreError::new(
                "the SQLite file was replaced, but its `-wal` and `-shm` files were not removed: remove \
                 them, and put the copy there again",
            ));
        }
        if !is_whole(&self.path, found.len()) {
            return Err(StoreError::new("the SQLite file is being replaced"));
        }
        tracing::warn!("the SQLite file was replaced: opening the other one");
        *opened = Opened { file, beside: [None; 2], since: Stopwatch::start(), is_replaced: true };
        Ok(())
    }

    /// Whether the file was replaced since the last call.
    pub(super) fn take_replaced(&self) -> bool {
        let mut opened = self.opened();
        opened.beside = self.beside();
        std::mem::take(&mut opened.is_replaced)
    }

    /// Whether a connection of this age is to the file that is there.
    pub(super) fn is_open_on(&self, age: Duration) -> bool {
        age <= self.opened().since.elapsed()
    }

    fn beside(&self) -> [Option<FileId>; 2] {
        ["-wal", "-shm"].map(|ending| {
            let mut path = self.path.clone().into_os_string();
            path.push(ending);
            metadata(path).ok().and_then(|found| id(&found))
        })
    }

    fn opened(&self) -> MutexGuard<'_, Opened> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other systems give none")]
fn id(found: &Metadata) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt as _;
    Some(FileId { device: found.dev(), inode: found.ino() })
}

#[cfg(not(unix))]
fn id(_: &Metadata) -> Option<FileId> {
    None
}

/// Whether a file is a database with all of its pages (<https://sqlite.org/fileformat2.html>): a copy may still
/// be under way.
fn is_whole(path: &Path, length: u64) -> bool {
    let mut header = [0; HEADER];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    if read.is_err() || !header.starts_with(MAGIC) {
        return false;
    }
    let number = |at: usize| {
        header[at..at + 4].iter().fold(0, |number: u64, byte| number << 8 | u64::from(*byte))
    };
    let page = match u64::from(header[16]) << 8 | u64::from(header[17]) {
        1 => 1 << 16,
        page => page,
    };
    // The number of pages counts only if the same version has written it.
    let pages = if number(24) == number(92) { number(28) } else { 1 };
    length >= page * pages
}
