//! Real programs: how they end, what is kept of them, and that nothing stays behind.

use super::*;

fn program(words: &[&str], timeout: Option<Duration>) -> Program {
    let argv = words.iter().map(ToString::to_string).collect();
    Program { argv, timeout, ..Program::default() }
}

fn script(text: &str, timeout_ms: u64) -> Program {
    program(&["sh", "-c", text], Some(Duration::from_millis(timeout_ms)))
}

fn run(program: &Program) -> Ended {
    super::run(program).expect("started")
}

fn finish(child: &mut Child) -> Ended {
    let mut timer = Timer::new().expect("a timer");
    loop {
        if let Some(ended) = child.poll(clock::now_awake().mono) {
            return ended;
        }
        let mut on = Vec::new();
        let until = child.watch(&mut on);
        wait(&Sockets::default(), &on, &mut timer, Some(until));
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

/// Whether a process, not a zombie, has this number.
fn is_alive(pid: &str) -> bool {
    let stat = crate::os::file::read_bounded(Path::new(&format!("/proc/{pid}/stat")), 4096);
    stat.is_ok_and(|stat| !text(&stat).contains(") Z "))
}

#[test]
fn streams_and_exit_status_are_kept() {
    let ended = run(&script("echo out; echo err >&2; exit 3", 10_000));
    assert_eq!((ended.exit, ended.timed_out), (Exit::Code(3), false));
    assert_eq!((text(&ended.stdout), text(&ended.stderr)), ("out\n", "err\n"));
    let ended = run(&script("kill -9 $$", 10_000));
    assert_eq!((ended.exit, ended.timed_out), (Exit::Signal(libc::SIGKILL), false));
}

#[test]
fn u9_environment_is_clean_and_standard_input_is_empty() {
    let mut program = program(&["env"], None);
    program.env.insert("RAID".to_owned(), "md 0".to_owned());
    assert_eq!(text(&run(&program).stdout), format!("LANG=C\nPATH={PATH}\nRAID=md 0\n"));
    program.env.insert("PATH".to_owned(), "/opt".to_owned());
    assert_eq!(text(&run(&program).stdout), "LANG=C\nPATH=/opt\nRAID=md 0\n");
    assert_eq!(text(&run(&script("wc -c", 10_000)).stdout).trim(), "0");
}

#[test]
fn u9_no_descriptor_of_ours_is_inherited() {
    let ours = std::fs::File::open("/dev/null").expect("it is there");
    let (read, write) = pipe().expect("descriptors are left");
    let ended = run(&script("ls /proc/self/fd", 10_000));
    let theirs: Vec<i32> = text(&ended.stdout).lines().map(|fd| fd.parse().unwrap()).collect();
    for fd in [ours.as_raw_fd(), read.as_raw_fd(), write.as_raw_fd()] {
        // What ls itself opens has the lowest free numbers.
        assert!(fd < 4 || !theirs.contains(&fd), "{fd} in {theirs:?}");
    }
}

#[test]
fn signals_that_we_ignore_work_in_the_program() {
    let ended = run(&script("kill -PIPE $$; echo survived", 10_000));
    assert_eq!(ended.exit, Exit::Signal(libc::SIGPIPE));
}

#[test]
fn program_that_cannot_be_run_is_an_error() {
    let dir = tempfile::tempdir().expect("a directory");
    let plain = dir.path().join("plain");
    std::fs::write(&plain, "no program").expect("written");
    let table = [
        ("/nonexistent/x", io::ErrorKind::NotFound),
        ("nonexistent-x", io::ErrorKind::NotFound),
        (plain.to_str().expect("text"), io::ErrorKind::PermissionDenied),
        ("/nonexistent\0/x", io::ErrorKind::InvalidInput),
    ];
    for (name, want) in table {
        let error = Child::start(&program(&[name], None), Mono::ZERO).err().expect(name);
        assert_eq!(error.kind(), want, "{name}");
    }
    assert!(Child::start(&program(&[], None), Mono::ZERO).is_err());
    assert_eq!(check(&plain), Err("is not executable"));
    assert_eq!(check(dir.path()), Err("is not a file"));
    assert_eq!(check(Path::new("/nonexistent")), Err("does not exist"));
}

#[test]
fn u9_late_program_is_told_to_end_and_then_killed_with_all_it_started() {
    let ended = run(&script("echo begun; sleep 60", 100));
    assert_eq!((ended.exit, ended.timed_out), (Exit::Signal(libc::SIGTERM), true));
    assert_eq!(text(&ended.stdout), "begun\n");
    let ended = run(&script("trap '' TERM; sleep 60 & echo $!; sleep 60; sleep 60", 100));
    assert_eq!((ended.exit, ended.timed_out), (Exit::Signal(libc::SIGKILL), true));
    let grandchild = text(&ended.stdout).trim().to_owned();
    until_dead(&grandchild);
}

#[test]
fn program_that_leaves_others_behind_has_ended_and_they_with_it() {
    let ended = run(&script("sleep 60 & echo $!", 30_000));
    assert_eq!((ended.exit, ended.timed_out), (Exit::Code(0), false));
    until_dead(text(&ended.stdout).trim());
}

/// A killed process is gone a moment later: init has to take it from the list.
#[allow(clippy::disallowed_methods, reason = "between two looks at another process")]
fn until_dead(pid: &str) {
    assert!(pid.parse::<u32>().is_ok(), "{pid:?}");
    while is_alive(pid) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn u9_output_is_capped_and_the_rest_thrown_away() {
    let ended = run(&script("head -c 1000000 /dev/zero; head -c 70000 /dev/zero >&2", 30_000));
    assert_eq!(ended.exit, Exit::Code(0));
    assert_eq!((ended.stdout.len(), ended.stderr.len()), (OUTPUT_MAX, OUTPUT_MAX));
    let ended = run(&program(&["yes"], Some(Duration::from_millis(50))));
    assert_eq!((ended.stdout.len(), ended.timed_out), (OUTPUT_MAX, true));
}

#[test]
fn dropped_program_is_killed_and_no_zombie_stays() {
    let child = Child::start(&program(&["sleep", "60"], None), Mono::ZERO).expect("started");
    let pid = child.pid.to_string();
    assert!(is_alive(&pid));
    drop(child);
    until_dead(&pid);
    while reap_orphans() > 0 {}
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn program_is_waited_for_by_time_where_the_kernel_cannot_tell() {
    let program = program(&["sh", "-c", "exec >&- 2>&-; sleep 0.1; exit 7"], None);
    let mut child = Child::start(&program, Mono::ZERO).expect("started");
    child.end = None;
    assert_eq!(finish(&mut child).exit, Exit::Code(7));
}

#[test]
fn lines_are_taken_one_by_one_and_long_ones_cut() {
    let mut stream = Stream { fd: None, bytes: b"one\n\nrest".to_vec(), cut: false };
    assert_eq!(stream.take_line().as_deref(), Some(&b"one"[..]));
    assert_eq!(stream.take_line().as_deref(), Some(&b""[..]));
    assert_eq!(stream.take_line(), None);
    stream.cut = true;
    assert_eq!(stream.take_line().as_deref(), Some(&b"rest"[..]));
    assert_eq!(stream.take_line(), None);
}

#[test]
fn input_is_read_whole_and_needs_no_reader() {
    let long = vec![b'x'; 1 << 20];
    let ended = run(&Program { stdin: long, ..script("wc -c", 10_000) });
    assert_eq!(text(&ended.stdout).trim(), "1048576");
    let unread = run(&Program { stdin: b"not read".to_vec(), ..script("exit 3", 10_000) });
    assert_eq!(unread.exit, Exit::Code(3));
    let none = run(&script("wc -c", 10_000));
    assert_eq!(text(&none.stdout).trim(), "0");
}
