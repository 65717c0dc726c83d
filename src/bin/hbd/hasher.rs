//! The thread `pbkdf2`: checks and makes password hashes, one at a time, so that signing in takes at
//! most one core from the rest.

use crossbeam_channel::{Receiver, Sender, bounded};
use heartbeat::account::password::{Hash, ITERATIONS, SALT, verify};
use heartbeat::os::thread;
use heartbeat::time::Duration;
use heartbeat::web::Refused;
use std::io;

/// Jobs that may wait; one more is told to come back.
const QUEUE: usize = 8;
const STACK: usize = 128 << 10;
/// The queue with hashes of ten million iterations on a slow machine takes less.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

enum Job {
    Verify { password: String, hash: Option<Hash>, iterations: u32, answer: Sender<bool> },
    Make { password: String, random: [u8; SALT], answer: Sender<String> },
}

/// The way to the thread; it ends with its last owner.
pub struct Hasher {
    jobs: Sender<Job>,
    /// Threads of the HTTP pool that may wait for a hash: the others go on answering.
    places: (Sender<()>, Receiver<()>),
}

impl Hasher {
    pub fn start() -> io::Result<Hasher> {
        let (jobs, received) = bounded(QUEUE);
        thread::spawn("pbkdf2", STACK, move || {
            while let Ok(job) = received.recv() {
                work(job);
            }
        })?;
        Ok(Hasher { jobs, places: bounded(crate::pool::LOGIN_MAX) })
    }

    /// Whether the password fits; takes the time of `iterations` in any case.
    pub fn verify(
        &self,
        password: &str,
        hash: Option<Hash>,
        iterations: u32,
    ) -> Result<bool, Refused> {
        let password = password.to_owned();
        self.ask(|answer| Job::Verify { password, hash, iterations, answer })
    }

    pub fn make(&self, password: &str, random: [u8; SALT]) -> Result<String, Refused> {
        let password = password.to_owned();
        self.ask(|answer| Job::Make { password, random, answer })
    }

    fn ask<T>(&self, job: impl FnOnce(Sender<T>) -> Job) -> Result<T, Refused> {
        let (take, give_back) = &self.places;
        take.try_send(()).map_err(|_| Refused::Busy)?;
        let (answer, answered) = bounded(1);
        let sent = self.jobs.try_send(job(answer)).map_err(|_| Refused::Busy);
        let result =
            sent.and_then(|()| answered.recv_timeout(ANSWER_WITHIN).map_err(|_| Refused::Failed));
        let _ = give_back.try_recv();
        result
    }
}

fn work(job: Job) {
    match job {
        Job::Verify { password, hash, iterations, answer } => {
            let _ = answer.try_send(verify(&password, hash.as_ref(), iterations));
        }
        Job::Make { password, random, answer } => {
            let _ = answer.try_send(Hash::make(&password, ITERATIONS, random).to_string());
        }
    }
}
