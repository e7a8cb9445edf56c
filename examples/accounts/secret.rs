//! The secret that signs tokens, kept in a file so that tokens survive a restart.

use std::{
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The secret kept beside the SQLite file `database`, or in the temporary directory for another
/// database. Made at the first call.
pub(crate) fn kept_for(database: &str) -> io::Result<String> {
    let file = file_for(database);
    match create(&file) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Ok(fs::read_to_string(file)?.trim().to_owned())
        }
        made => made,
    }
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
