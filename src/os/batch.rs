//! Several programs, a few at a time, until all have ended. Never waits: polled as a child is.

use super::child::{Child, Ended, Program};
use crate::time::Mono;
use std::io;
use std::os::fd::BorrowedFd;

/// Programs in their order and what became of each.
pub struct Batch {
    programs: Vec<Program>,
    at_once: usize,
    /// The first that is not started.
    next: usize,
    running: Vec<(usize, Child)>,
    results: Vec<Option<io::Result<Ended>>>,
}

impl Batch {
    /// Starts nothing yet; at most `at_once` will run at a time.
    pub fn new(programs: Vec<Program>, at_once: usize) -> Batch {
        let results = programs.iter().map(|_| None).collect();
        Batch { programs, at_once, next: 0, running: Vec::new(), results }
    }

    /// Starts what may start and takes in what has ended. Once all have: how, in their order; an
    /// error is one that could not be started.
    pub fn poll(&mut self, now: Mono) -> Option<Vec<io::Result<Ended>>> {
        let results = &mut self.results;
        self.running.retain_mut(|(place, child)| match child.poll(now) {
            Some(ended) => {
                results[*place] = Some(Ok(ended));
                false
            }
            None => true,
        });
        while self.running.len() < self.at_once
            && let Some(program) = self.programs.get(self.next)
        {
            match Child::start(program, now) {
                Ok(child) => self.running.push((self.next, child)),
                Err(error) => self.results[self.next] = Some(Err(error)),
            }
            self.next += 1;
        }
        self.running.is_empty().then(|| self.results.drain(..).flatten().collect())
    }

    /// As [`Child::watch`], for all that run.
    pub fn watch<'a>(&'a self, on: &mut Vec<BorrowedFd<'a>>) -> Mono {
        self.running.iter().map(|(_, child)| child.watch(on)).min().unwrap_or(Mono::MAX)
    }
}
