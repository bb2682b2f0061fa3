//! How much of the processors a process has used, from `/proc` (proc(5)).

use std::fs;
use std::io;
use std::time::Duration;

/// What one process has used, in user and in kernel mode.
pub fn of_process(pid: u32) -> io::Result<Duration> {
    Ok(Times::read(pid)?.own)
}

/// What the children of a process have used that have ended.
pub fn of_ended_children(pid: u32) -> io::Result<Duration> {
    Ok(Times::read(pid)?.ended_children)
}

/// What a process and all its children have used, those that have ended included.
pub fn of_family(pid: u32) -> io::Result<Duration> {
    let parent = Times::read(pid)?;
    let mut total = parent.own + parent.ended_children;
    for entry in fs::read_dir("/proc")? {
        let Some(child) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // One that has just ended is counted by its parent, at the next look.
        if let Ok(child) = Times::read(child)
            && child.parent == pid
        {
            total += child.own + child.ended_children;
        }
    }
    Ok(total)
}

/// The process that started `pid`.
pub fn parent_of(pid: u32) -> io::Result<u32> {
    Ok(Times::read(pid)?.parent)
}

struct Times {
    parent: u32,
    own: Duration,
    ended_children: Duration,
}

impl Times {
    fn read(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        Self::parse(&stat).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no times in /proc/PID/stat"))
    }

    /// The name of the program stands in parentheses, and may itself hold spaces and parentheses.
    fn parse(stat: &str) -> Option<Self> {
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let ticks = |field: usize| fields.get(field)?.parse::<u64>().ok();
        let time = |ticks: u64| Duration::from_millis(ticks * 1_000 / rustix::param::clock_ticks_per_second().max(1));
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own: time(ticks(11)? + ticks(12)?),
            ended_children: time(ticks(13)? + ticks(14)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn times_are_read_whatever_a_program_is_called() {
        let stat = "42 (a) b (c) S 7 42 42 0 -1 4194560 1 0 0 0 100 20 300 4 20 0 1 0 5 0 0";
        let times = Times::parse(stat).expect("parses");
        let tick = Duration::from_millis(1_000 / rustix::param::clock_ticks_per_second());
        assert_eq!((times.parent, times.own, times.ended_children), (7, tick * 120, tick * 304));
        assert!(Times::parse("42 (x").is_none());
    }

    #[test]
    fn a_child_counts_while_it_runs_and_after_it_ended() {
        let me = std::process::id();
        let before = of_family(me).expect("/proc");
        let mut child = Command::new("sh")
            .args(["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo; read x"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        io::BufRead::read_line(&mut io::BufReader::new(stdout), &mut line).expect("it has counted");
        assert_eq!(parent_of(child.id()).expect("it runs"), me);
        let running = of_process(child.id()).expect("it runs");
        assert!(running > Duration::ZERO && of_family(me).expect("/proc") >= before + running);
        drop(child.stdin.take());
        child.wait().expect("ends");
        assert!(of_ended_children(me).expect("/proc") >= running);
    }
}
