//! How long an import takes: `import [lines] [--binary PATH] [--database URL]` writes a file of bcrypt hashes, has the server's command
//! line import it into a PostgreSQL of its own, and then into the same database once more, which finds everything there.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use authkit_benches::stopwatch::now;
use authkit_sqlx::testkit::PgServer;
use clap::Parser;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Measures `authkit-server users import`.
#[derive(Debug, Parser)]
struct Options {
    /// How many accounts the file has.
    #[arg(default_value_t = 100_000)]
    lines: u32,
    /// The server to measure.
    #[arg(long, default_value = "target/release/authkit-server")]
    binary: PathBuf,
    /// Another database than a PostgreSQL that is started for this run. It must be empty.
    #[arg(long)]
    database: Option<String>,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let home = tempfile::Builder::new().prefix("authkit-import-").tempdir()?;
    let file = home.path().join("users.csv");
    write(&file, options.lines)?;
    let private = if options.database.is_none() { Some(PgServer::start().await) } else { None };
    let database = options.database.clone().or_else(|| private.as_ref().map(PgServer::url)).unwrap_or_default();
    println!("{} accounts with bcrypt hashes, {} KiB", options.lines, std::fs::metadata(&file)?.len() / 1024);
    for run in ["import", "once more"] {
        let start = now();
        let said = import(&options.binary, home.path(), &file, &database)?;
        let seconds = start.elapsed().as_secs_f64();
        println!("{run:10} {seconds:>7.1} s {:>8.0} a second   {said}", f64::from(options.lines) / seconds);
    }
    Ok(())
}

/// Addresses, names and hashes as a directory of customers has them. What a hash is of decides nothing about an import.
fn write(path: &Path, lines: u32) -> Result<(), Failure> {
    const LETTERS: &[u8; 64] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut file = BufWriter::new(File::create(path)?);
    writeln!(file, "email,email_verified,full_name,created_at,password_hash,external_id")?;
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for line in 0..lines {
        let digest: String = (0..53)
            .map(|_| {
                // xorshift64*: the same file on every machine.
                state ^= state >> 12;
                state ^= state << 25;
                state ^= state >> 27;
                char::from(LETTERS[(state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 58) as usize])
            })
            .collect();
        let verified = line % 3 != 0;
        writeln!(
            file,
            "customer.{line}@example{}.com,{verified},Customer Number{line},2024-05-17T09:30:00Z,$2b$12${digest},{line}",
            line % 97
        )?;
    }
    Ok(file.flush()?)
}

/// Runs the command, and returns its last word.
fn import(binary: &Path, home: &Path, file: &Path, database: &str) -> Result<String, Failure> {
    let output = Command::new(std::fs::canonicalize(binary)?)
        .env_clear()
        .env("DATABASE_URL", database)
        .env("AUTHKIT_DATA_DIR", home.join("data"))
        .env("AUTHKIT_LOG", "warn")
        .current_dir(home)
        .args(["users", "import"])
        .arg(file)
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
