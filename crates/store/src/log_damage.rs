//! Looking at the write-ahead log of a store that was not closed, before SQLite does.
//!
//! SQLite ends the log at the first frame whose checksum is wrong, as it has to where the power went in the middle of a write.
//! A bit that flipped ends it, too, and takes every later commit away without a word. Behind such a place it is told here
//! whether the log had gone on. The form of the file: <https://sqlite.org/fileformat2.html#walformat>.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
const INDEX_HEADER_BYTES: usize = 48;
const INDEX_SALT: usize = 32;
const INDEX_VERSION: u32 = 3_007_000;
const MAGIC: u32 = 0x377f_0682;
const PAGE_BYTES_MIN: usize = 512;
const PAGE_BYTES_MAX: usize = 65536;

type Sum = (u32, u32);

/// What is known of how the process ended that had the store open last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Nothing: it may have closed the store.
    Unknown,
    /// It did not close the store, so that its log must be there, if only as an empty file.
    Open,
    /// Nor has the machine gone down since: all that it wrote is in the files, synced or not.
    Killed,
}

/// What is wrong with the write-ahead log of the store at this path, if commits may be lost by it.
///
/// A log that ends in the middle of a commit, as after a loss of power, is not damaged, nor are frames of earlier logs, and of
/// transactions that were rolled back, behind its end.
pub fn log_damage(store: &Path, left: Left) -> Option<String> {
    let looked = match File::open(crate::backup::beside(store, "-wal")) {
        Ok(file) => look(BufReader::new(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return (left != Left::Unknown).then(|| "is missing, though the store was not closed".to_owned());
        }
        Err(e) => Err(e),
    };
    match looked {
        Ok(Found::Frames { number, salt }) => {
            let known = committed_frames(store, Some(salt)).filter(|_| left == Left::Killed)?;
            (known > number).then(|| format!("ends after {number} frames, though its index knows of {known}"))
        }
        Ok(Found::NoHeader) => {
            let had_frames = committed_frames(store, None).is_some_and(|known| known > 0);
            had_frames.then(|| "is empty, though its index knows of commits in it".to_owned())
        }
        Ok(Found::Header) => Some("has a damaged header".to_owned()),
        Ok(Found::Frame(at)) => Some(format!("is damaged at byte {at}, and commits follow there")),
        // Opening the store says why it cannot be read.
        Err(_) => None,
    }
}

/// How many frames end with a commit, as the log's index says that a process left which was killed; of the log with this salt:
/// <https://sqlite.org/walformat.html#the_wal_index_header>.
fn committed_frames(store: &Path, salt: Option<[u8; 8]>) -> Option<u64> {
    let mut header = [0; 2 * INDEX_HEADER_BYTES];
    let read = File::open(crate::backup::beside(store, "-shm"))
        .and_then(|f| fill(&mut BufReader::new(f), &mut header));
    let native =
        |at: usize| u32::from_ne_bytes(header[at..at + 4].try_into().expect("invariant: four bytes"));
    let (one, two) = header.split_at(INDEX_HEADER_BYTES);
    let good = matches!(read, Ok(true)) && one == two && native(0) == INDEX_VERSION;
    let of_this_log = salt.is_none_or(|salt| one[INDEX_SALT..INDEX_SALT + 8] == salt);
    (good && of_this_log).then(|| u64::from(native(16)))
}

enum Found {
    /// Sound as far as it goes: so many frames from its beginning on.
    Frames {
        number: u64,
        salt: [u8; 8],
    },
    NoHeader,
    Header,
    Frame(u64),
}

fn look(mut log: impl Read) -> io::Result<Found> {
    let mut header = [0; HEADER_BYTES];
    if !fill(&mut log, &mut header)? {
        return Ok(Found::NoHeader);
    }
    let big = match word(&header, 0) {
        MAGIC => false,
        m if m == MAGIC + 1 => true,
        _ => return anything_behind(log),
    };
    let salt = header[16..24].try_into().expect("invariant: eight bytes");
    let page = word(&header, 8) as usize;
    let mut sum = add((0, 0), &header[..24], big);
    let sized = page.is_power_of_two() && (PAGE_BYTES_MIN..=PAGE_BYTES_MAX).contains(&page);
    if sum != (word(&header, 24), word(&header, 28)) || !sized {
        return anything_behind(log);
    }
    let mut frame = vec![0; FRAME_HEADER_BYTES + page];
    let mut at = HEADER_BYTES as u64;
    let mut number = 0;
    // Where the chain of checksums breaks; from there on a frame is compared with the one before it.
    let mut broken: Option<[Sum; 2]> = None;
    while fill(&mut log, &mut frame)? {
        let stored = (word(&frame, 16), word(&frame, 20));
        let follows = |from| add(add(from, &frame[..8], big), &frame[FRAME_HEADER_BYTES..], big);
        let of_this_log = frame[8..16] == header[16..24] && word(&frame, 0) != 0;
        let ends_a_commit = word(&frame, 4) != 0;
        broken = Some(match broken {
            None if of_this_log && follows(sum) == stored => {
                sum = stored;
                at += frame.len() as u64;
                number += 1;
                continue;
            }
            None => [stored, follows(sum)],
            // Only what was committed stays where it was written until the log begins anew, with another salt.
            Some(before) if of_this_log && before.into_iter().any(|b| follows(b) == stored) => {
                if ends_a_commit {
                    return Ok(Found::Frame(at));
                }
                [stored; 2]
            }
            Some(_) => [stored; 2],
        });
    }
    Ok(Found::Frames { number, salt })
}

/// A bad header: it was written before all else, but nothing says that it came to the disk where nothing stands behind it.
fn anything_behind(mut log: impl Read) -> io::Result<Found> {
    Ok(if fill(&mut log, &mut [0])? { Found::Header } else { Found::NoHeader })
}

/// False at the end of the file, also in the middle.
fn fill(log: &mut impl Read, into: &mut [u8]) -> io::Result<bool> {
    match log.read_exact(into) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("invariant: four bytes"))
}

fn add((mut a, mut b): Sum, bytes: &[u8], big: bool) -> Sum {
    let read = |w: &[u8]| {
        let w = w.try_into().expect("invariant: four bytes");
        if big { u32::from_be_bytes(w) } else { u32::from_le_bytes(w) }
    };
    for pair in bytes.chunks_exact(8) {
        a = a.wrapping_add(read(&pair[..4])).wrapping_add(b);
        b = b.wrapping_add(read(&pair[4..])).wrapping_add(a);
    }
    (a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The log of a store with 40 commits, as a hard stop leaves it: of an earlier log, and of a rollback, there is something, too.
    fn left() -> (Vec<u8>, usize) {
        let temp = tempfile::tempdir().expect("a directory");
        let path = temp.path().join("x.db");
        let db = rusqlite::Connection::open(&path).expect("opened");
        db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (x)")
            .expect("made");
        for _ in 0..60 {
            db.execute("INSERT INTO t VALUES (randomblob(5000))", ()).expect("written");
        }
        db.execute_batch("PRAGMA wal_checkpoint(RESTART); PRAGMA cache_size = 5").expect("begun anew");
        db.execute("INSERT INTO t VALUES (0)", ()).expect("written");
        db.execute_batch("BEGIN").expect("begun");
        for _ in 0..70 {
            db.execute("INSERT INTO t VALUES (randomblob(5000))", ()).expect("written");
        }
        db.execute_batch("ROLLBACK").expect("rolled back");
        for _ in 0..20 {
            db.execute("INSERT INTO t VALUES (randomblob(50))", ()).expect("written");
        }
        let bytes = std::fs::read(temp.path().join("x.db-wal")).expect("a log");
        let copy = temp.path().join("copy.db");
        std::fs::copy(&path, &copy).expect("copied");
        std::fs::write(temp.path().join("copy.db-wal"), &bytes).expect("copied");
        let copied = rusqlite::Connection::open(&copy).expect("opened");
        let frames: usize = copied
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |r| r.get::<_, i64>(1))
            .expect("checkpointed")
            .try_into()
            .expect("a number");
        (bytes, frames)
    }

    fn damage(bytes: &[u8], left: Left) -> Option<String> {
        let temp = tempfile::tempdir().expect("a directory");
        std::fs::write(temp.path().join("x.db-wal"), bytes).expect("written");
        log_damage(&temp.path().join("x.db"), left)
    }

    #[test]
    fn a_flipped_bit_with_commits_behind_it_is_found_and_a_torn_end_is_not() {
        let (whole, frames) = left();
        let frame = FRAME_HEADER_BYTES + word(&whole, 8) as usize;
        let end = HEADER_BYTES + frames * frame;
        let same_log = |at: usize| whole[at + 8..at + 16] == whole[16..24];
        assert!(frames > 20 && whole.len() > end + frame, "{frames} frames, {} bytes", whole.len());
        let behind: Vec<bool> = (end..whole.len()).step_by(frame).map(same_log).collect();
        assert!(
            behind.contains(&true) && behind.contains(&false),
            "of the rollback, and of the earlier log: {behind:?}"
        );
        assert_eq!(damage(&whole, Left::Open), None);
        assert_eq!(damage(&whole[..end], Left::Open), None);
        let flipped = |at: usize, bit: usize| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (bit % 8);
            damage(&bytes, Left::Unknown)
        };
        for at in 0..HEADER_BYTES {
            assert_eq!(flipped(at, at).as_deref(), Some("has a damaged header"), "byte {at}");
        }
        // Every byte of a frame's header and some of its page, in each frame that has two commits behind it.
        let commits: Vec<usize> =
            (0..frames).filter(|f| word(&whole, HEADER_BYTES + f * frame + 4) != 0).collect();
        for f in 0..commits[commits.len() - 2] {
            let start = HEADER_BYTES + f * frame;
            for at in (0..FRAME_HEADER_BYTES).chain((FRAME_HEADER_BYTES..frame).step_by(509)) {
                let said = flipped(start + at, at + f);
                assert_eq!(
                    said,
                    Some(format!("is damaged at byte {start}, and commits follow there")),
                    "byte {at}"
                );
            }
        }
        // The last commit may not have come to the disk.
        let last = HEADER_BYTES + commits[commits.len() - 1] * frame;
        assert_eq!(flipped(last + frame - 1, 3), None);
        for cut in (HEADER_BYTES..end).step_by(777) {
            assert_eq!(damage(&whole[..cut], Left::Killed), None, "cut at {cut}");
        }
    }

    #[test]
    fn a_log_that_is_gone_is_missed_where_it_must_be_there() {
        let temp = tempfile::tempdir().expect("a directory");
        let path = temp.path().join("x.db");
        assert!(log_damage(&path, Left::Open).is_some_and(|d| d.contains("missing")));
        assert_eq!(log_damage(&path, Left::Unknown), None);
        let db = rusqlite::Connection::open(&path).expect("opened");
        db.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x)").expect("made");
        assert_eq!(log_damage(&path, Left::Open), None);
        // As a node that was killed after its start, and has written nothing.
        db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("emptied");
        assert_eq!(log_damage(&path, Left::Open), None);
        db.execute_batch("INSERT INTO t VALUES (1)").expect("written");
        std::fs::write(temp.path().join("x.db-wal"), "").expect("emptied by another");
        assert!(log_damage(&path, Left::Open).is_some_and(|d| d.contains("is empty")));
    }

    #[test]
    fn a_log_that_was_cut_off_is_noticed_where_the_machine_did_not_go_down() {
        let temp = tempfile::tempdir().expect("a directory");
        let path = temp.path().join("x.db");
        let db = rusqlite::Connection::open(&path).expect("opened");
        db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (x)")
            .expect("made");
        for _ in 0..9 {
            db.execute("INSERT INTO t VALUES (randomblob(5000))", ()).expect("written");
        }
        let log = temp.path().join("x.db-wal");
        let whole = std::fs::read(&log).expect("a log");
        assert_eq!(log_damage(&path, Left::Killed), None);
        let cuts = (HEADER_BYTES..whole.len()).step_by(997).chain([whole.len() - 1]);
        for cut in cuts {
            std::fs::write(&log, &whole[..cut]).expect("cut");
            assert!(
                log_damage(&path, Left::Killed).is_some_and(|d| d.contains("ends after")),
                "cut at {cut}"
            );
            assert_eq!(log_damage(&path, Left::Open), None, "as after a loss of power");
        }
        let mut zeros = whole.clone();
        zeros[whole.len() / 2..].fill(0);
        std::fs::write(&log, &zeros).expect("overwritten");
        assert!(log_damage(&path, Left::Killed).is_some());
        let mut flipped = whole.clone();
        *flipped.last_mut().expect("a byte") ^= 1;
        std::fs::write(&log, &flipped).expect("overwritten");
        assert!(log_damage(&path, Left::Killed).is_some(), "in the last commit");
        // What a transaction that was rolled back left behind the end does not count.
        std::fs::write(&log, &whole).expect("as it was");
        assert_eq!(log_damage(&path, Left::Killed), None);
    }
}
