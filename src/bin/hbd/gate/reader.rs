//! Who reads an answer of the gate: what a request says of it. Does no I/O.

use super::request::Request;
use heartbeat::web::wants_page;

/// Who reads an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// The request was HEAD: no body follows the answer's head.
    Head,
    Program,
    /// A browser that shows a page. `again`: it may ask for it again by itself.
    Person {
        again: bool,
    },
}

impl Reader {
    pub fn of(request: &Request) -> Reader {
        match request.method() {
            "HEAD" => Reader::Head,
            method if wants_page(request.path(), request.header("accept")) => {
                Reader::Person { again: method == "GET" }
            }
            _ => Reader::Program,
        }
    }
}
