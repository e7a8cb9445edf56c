//! Stores the secret that signs tokens in a file, so that tokens survive a restart.

use std::{
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Returns the secret in the file beside the SQLite file `database`, or in the temporary directory for
/// another database. Creates the file at the first call.
pub(crate) fn kept_for(database: &str) -> io::Result<String> {
    let file = file_for(database);
    match create(&file) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            refuse_if_others_can_read(&file)?;
            Ok(fs::read_to_string(file)?.trim().to_owned())
        }
        made => made,
    }
}

/// Who knows the secret can sign a token for every user.
#[cfg(unix)]
fn refuse_if_others_can_read(file: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(file)?;
    let others = std::os::unix::fs::MetadataExt::mode(&found) & 0o077;
    if found.is_file() && others == 0 {
        return Ok(());
    }
    Err(io::Error::other(
        "other users can read the file of the secret: remove it, or set ACCOUNTS_SECRET",
    ))
}

#[cfg(not(unix))]
fn refuse_if_others_can_read(_: &Path) -> io::Result<()> {
    Ok(())
}

fn file_for(database: &str) -> PathBuf {
    if database.starts_with("postgres://") || database.starts_with("postgresql://") {
        return env::temp_dir().join("tower-sliding-session-accounts.secret");
    }
    let path = database.strip_prefix("sqlite:").unwrap_or(database);
    let path = path.strip_prefix("//").unwrap_or(path);
    PathBuf::from(path.split('?').next().unwrap_or(path)).with_extension("secret")
}

fn create(file: &Path) -> io::Result<String> {
    let secret = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)?.write_all(secret.as_bytes())?;
    Ok(secret)
}
