//! Routes as data: which path and method leads where, and which right it takes.
//!
//! The right is part of the handler's type: a handler that takes [`Access<Owner>`] cannot be
//! entered in a row that does not prove it. Nothing else calls handlers.

use super::authz::{self, Access, Admin, Manager, Monitor, Owner, Unowned};
use super::problem::Problem;
use super::{Answer, Call, Method, query};
use std::borrow::Cow;

/// A handler with the proof it wants. The variants in the order of what they let in.
#[derive(Clone, Copy)]
pub enum Handle {
    /// Everybody, signed in or not. The handler looks for itself.
    Public(fn(&Call<'_>) -> Answer),
    /// Whoever may see anything; what the caller may not see is not in the call's view.
    Reader(fn(&Call<'_>) -> Answer),
    /// A change of the caller's own, or of hosts that the handler asks `authz` about one by one.
    Member(fn(&Call<'_>) -> Answer),
    /// On the host that the path names as `{host}`.
    Monitor(fn(&Call<'_>, &Access<'_, Monitor>) -> Answer),
    Manager(fn(&Call<'_>, &Access<'_, Manager>) -> Answer),
    Owner(fn(&Call<'_>, &Access<'_, Owner>) -> Answer),
    Admin(fn(&Call<'_>, &Admin) -> Answer),
}

impl Handle {
    /// What it takes, for documents and tests.
    pub const fn right(&self) -> &'static str {
        match self {
            Handle::Public(_) => "public",
            Handle::Reader(_) => "reader",
            Handle::Member(_) => "member",
            Handle::Monitor(_) => "monitor",
            Handle::Manager(_) => "manager",
            Handle::Owner(_) => "owner",
            Handle::Admin(_) => "admin",
        }
    }
}

/// One method of one path.
#[derive(Clone, Copy)]
pub struct Route {
    pub method: Method,
    /// Without the slash before it; `{host}` is any one segment.
    pub path: &'static str,
    pub handle: Handle,
    /// What holds while no users are configured.
    pub unowned: Unowned,
}

impl Route {
    const fn new(method: Method, path: &'static str, handle: Handle) -> Route {
        Route { method, path, handle, unowned: Unowned::Open }
    }

    pub const fn get(path: &'static str, handle: Handle) -> Route {
        Route::new(Method::Get, path, handle)
    }

    pub const fn post(path: &'static str, handle: Handle) -> Route {
        Route::new(Method::Post, path, handle)
    }

    pub const fn put(path: &'static str, handle: Handle) -> Route {
        Route::new(Method::Put, path, handle)
    }

    pub const fn delete(path: &'static str, handle: Handle) -> Route {
        Route::new(Method::Delete, path, handle)
    }

    /// Only by the control socket while there are no users: what would be done, and what to do
    /// instead.
    pub const fn closed(mut self, what: &'static str, instead: &'static str) -> Route {
        self.unowned = Unowned::Closed(what, instead);
        self
    }

    /// The values of the path's placeholders, where it fits.
    fn fit<'p>(&self, segments: &[Cow<'p, str>]) -> Option<Vec<(&'static str, Cow<'p, str>)>> {
        let mut values = Vec::new();
        let mut own = self.path.split('/');
        for segment in segments {
            let pattern = own.next()?;
            match pattern.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
                Some(name) if !segment.is_empty() => values.push((name, segment.clone())),
                Some(_) => return None,
                None if pattern == segment => {}
                None => return None,
            }
        }
        own.next().is_none().then_some(values)
    }

    fn run(&self, call: &Call<'_>) -> Answer {
        let host = || call.param("host");
        match self.handle {
            Handle::Public(respond) => respond(call),
            Handle::Reader(respond) => {
                authz::may_look(call, self.unowned)?;
                respond(call)
            }
            Handle::Member(respond) => {
                authz::may_change(call, self.unowned)?;
                respond(call)
            }
            Handle::Monitor(respond) => respond(call, &authz::access(call, host(), self.unowned)?),
            Handle::Manager(respond) => respond(call, &authz::access(call, host(), self.unowned)?),
            Handle::Owner(respond) => respond(call, &authz::access(call, host(), self.unowned)?),
            Handle::Admin(respond) => respond(call, &authz::admin(call, self.unowned)?),
        }
    }
}

/// The segments of a path, decoded; `None` where an escape is broken.
pub fn segments(path: &str) -> Option<Vec<Cow<'_, str>>> {
    path.trim_start_matches('/').split('/').map(query::decode_segment).collect()
}

/// Answers with the row that fits; `None` where no row has the path.
pub fn dispatch<'a>(
    tables: &[&[Route]],
    call: &mut Call<'a>,
    segments: &[Cow<'a, str>],
) -> Option<Answer> {
    let mut allowed: Vec<&'static str> = Vec::new();
    for route in tables.iter().copied().flatten() {
        let Some(values) = route.fit(segments) else { continue };
        if route.method == call.method {
            call.params = values;
            return Some(route.run(call));
        }
        allowed.push(route.method.as_str());
        if route.method == Method::Get {
            allowed.push("HEAD");
        }
    }
    (!allowed.is_empty()).then(|| {
        // Who has not signed in learns nothing of what there is.
        authz::signed_in(call)?;
        Err(Problem::not_allowed(allowed.join(", ")))
    })
}

impl<'a> Call<'a> {
    /// What stands in the path in the place of `{name}`; empty where the row has no such place.
    pub fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(own, _)| *own == name).map_or("", |(_, value)| value)
    }
}
