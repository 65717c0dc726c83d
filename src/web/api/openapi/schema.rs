//! The shapes of bodies and parameters, as JSON Schema in the dialect of OpenAPI 3.0.

use serde_json::{Value, json};

pub fn reference(shape: &str) -> Value {
    match shape {
        "Any" => json!({ "type": "object" }),
        shape => json!({ "$ref": format!("#/components/schemas/{shape}") }),
    }
}

fn maybe(kind: &str) -> Value {
    json!({ "type": kind, "nullable": true })
}

fn texts() -> Value {
    json!({ "type": "array", "items": { "type": "string" } })
}

fn list(shape: &str) -> Value {
    json!({ "type": "array", "items": reference(shape) })
}

/// An answer: members may be added to it, those named are there.
fn object(members: Value) -> Value {
    let required: Vec<&String> =
        members.as_object().into_iter().flatten().map(|(n, _)| n).collect();
    json!({ "type": "object", "required": required, "properties": members })
}

/// A body: what is not named is refused.
fn body(required: &[&str], members: Value) -> Value {
    let mut schema =
        json!({ "type": "object", "properties": members, "additionalProperties": false });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// A parameter of the query by its name in the operations' table.
pub fn parameter(name: &str) -> Value {
    let number = |max: u64, min: u64| json!({ "type": "integer", "minimum": min, "maximum": max });
    let text = || json!({ "type": "string" });
    // A parameter without a value counts as not given: forms send such.
    let choice = |values: &[&str]| {
        let all: Vec<&str> = std::iter::once("").chain(values.iter().copied()).collect();
        json!({ "type": "string", "enum": all })
    };
    let (shown, schema, required) = match name {
        "limit_hosts" => ("limit", number(100_000, 1), false),
        "limit_events" | "limit_samples" => ("limit", number(1000, 1), false),
        "offset" => ("offset", number(100_000, 0), false),
        "before" => ("before", json!({ "type": "integer", "minimum": 0 }), false),
        "sort" => {
            let orders = ["severity", "name", "since", "last_seen", "rtt", "alerts", "state"];
            ("sort", choice(&orders), false)
        }
        "state" => {
            let states = [
                "up",
                "late",
                "degraded",
                "down",
                "unreachable",
                "unknown",
                "critical",
                "warning",
                "maintenance",
            ];
            ("state", choice(&states), false)
        }
        "severity" => {
            let all = [
                "down",
                "critical",
                "warning",
                "late",
                "unreachable",
                "unknown",
                "maintenance",
                "up",
            ];
            ("severity", choice(&all), false)
        }
        "level" => ("level", choice(&["warning", "unknown", "critical", "ok"]), false),
        "all" => ("all", choice(&["0", "1", "true", "false"]), false),
        "alert_kind" => ("kind", choice(&["metric", "host", "all"]), false),
        "kind" => {
            let kinds = crate::engine::view::EventKind::ALL.map(|kind| kind.as_str());
            ("kind", choice(&kinds), false)
        }
        "host_globs" => ("host", text(), false),
        "host_needed" => ("host", json!({ "type": "string", "minLength": 1 }), true),
        "metrics" => ("metric", json!({ "type": "string", "minLength": 1 }), true),
        "from" | "to" => {
            let shown = if name == "from" { "from" } else { "to" };
            (shown, json!({ "type": "number", "minimum": 0, "maximum": 9_999_999_999_u64 }), false)
        }
        "points" => ("points", number(2000, 1), false),
        "days" => ("days", number(3660, 1), false),
        "metric" => ("metric", json!({ "type": "string", "minLength": 1 }), true),
        "format" => ("format", choice(&["json", "csv"]), false),
        other => (other, text(), false),
    };
    json!({ "name": shown, "in": "query", "required": required, "schema": schema })
}

pub fn all() -> Value {
    let mut shapes = hosts();
    for more in [over_time(), alerts(), feed(), accounts(), server()] {
        if let (Some(all), Value::Object(more)) = (shapes.as_object_mut(), more) {
            all.extend(more);
        }
    }
    shapes
}

fn hosts() -> Value {
    let number = || json!({ "type": "number" });
    let text = || json!({ "type": "string" });
    let truth = || json!({ "type": "boolean" });
    let connection = json!({
        "family": { "type": "string", "enum": ["ipv4", "ipv6"] },
        "address": text(),
        "state": { "type": "string", "enum": ["up", "late", "down"] },
        "rtt_ms": maybe("number"),
        "loss_percent": maybe("number"),
        "last_seen": number(),
    });
    let host = json!({
        "name": text(), "state": text(), "severity": text(), "watch": truth(), "owner": maybe("string"),
        "tags": texts(), "group": maybe("string"), "maintenance": truth(), "interval": number(),
        "last_seen": maybe("number"), "since": number(), "boot_time": maybe("number"),
        "version": maybe("string"), "sealed": truth(),
        "connections": { "type": "array", "items": object(connection) },
        "alerts": object(json!({
            "warning": { "type": "integer" }, "critical": { "type": "integer" },
            "unknown": { "type": "integer" },
        })),
        "why": text(),
    });
    let mut whole = host.clone();
    whole["declared"] = truth();
    whole["description"] = maybe("string");
    whole["roles"] = reference("Access");
    let lists = json!({
        "owner": maybe("string"),
        "managers": { "type": "array", "items": text(), "nullable": true, "maxItems": 256 },
        "monitors": { "type": "array", "items": text(), "nullable": true, "maxItems": 256 },
    });
    let tags = json!({
        "tags": { "type": "array", "items": text(), "nullable": true, "maxItems": 256 },
        "group": maybe("string"),
    });
    json!({
        "Host": object(host),
        "HostWhole": object(whole),
        "Hosts": object(json!({ "hosts": list("Host"), "total": { "type": "integer" } })),
        "Watch": body(&["watch"], json!({ "watch": truth() })),
        "Access": object(json!({ "owner": maybe("string"), "managers": texts(), "monitors": texts() })),
        "AccessWish": body(&[], lists),
        "Tags": object(json!({ "tags": texts(), "group": maybe("string") })),
        "TagsWish": body(&[], tags),
        "Plugins": object(json!({ "host": text(), "plugins": { "type": "object" } })),
        "Samples": object(json!({
            "host": text(), "plugin": text(),
            "samples": { "type": "array", "items": object(json!({
                "timestamp": number(), "data": { "type": "object" },
            })) },
        })),
    })
}

/// Numbers and standings from the history.
fn over_time() -> Value {
    let number = || json!({ "type": "number" });
    let text = || json!({ "type": "string" });
    let numbers = || json!({ "type": "array", "items": maybe("number") });
    let tally = json!({
        "up": number(), "down": number(), "maintenance": number(), "unknown": number(),
        "outages": { "type": "integer" },
    });
    let mut day = tally.clone();
    day["date"] = text();
    json!({
        "Series": object(json!({
            "step": number(), "t": { "type": "array", "items": number() },
            "series": { "type": "object", "additionalProperties": object(json!({
                "avg": numbers(), "min": numbers(), "max": numbers(), "unit": text(),
            })) },
            "down": { "type": "array", "items": numbers() },
            "maintenance": { "type": "array", "items": numbers() },
            "limits": { "type": "array", "items": object(json!({
                "level": text(), "value": number(), "metric": text(),
            })) },
        })),
        "Tally": object(tally.clone()),
        "Availability": object(json!({
            "days": { "type": "array", "items": object(day) }, "total": reference("Tally"),
        })),
    })
}

fn alerts() -> Value {
    let text = || json!({ "type": "string" });
    let count = || json!({ "type": "integer" });
    let alert = json!({
        "id": text(), "host": text(), "metric_path": text(), "kind": text(), "level": text(),
        "since": { "type": "number" }, "display": text(), "stale": { "type": "boolean" },
        "silenced": maybe("string"), "acknowledged": maybe("object"), "operator": maybe("string"),
        "recovers_at": maybe("number"), "last_notified": maybe("number"),
    });
    let summary = json!({
        "warning": count(), "critical": count(), "unknown": count(), "ok": count(),
    });
    // A time is Unix seconds or a text; which texts, JSON Schema cannot say.
    let time =
        || json!({ "nullable": true, "oneOf": [{ "type": "number" }, { "type": "string" }] });
    let globs = json!({
        "host": text(), "group": text(), "tag": text(), "plugin": text(), "path": text(),
    });
    json!({
        "Alerts": object(json!({
            "alerts": { "type": "array", "items": object(alert) }, "summary": object(summary),
        })),
        "AckWish": body(&["ids"], json!({
            "ids": { "type": "array", "items": text(), "minItems": 1 },
            "until": time(), "reason": maybe("string"),
        })),
        "Acks": object(json!({ "acks": { "type": "array", "items": { "type": "object" } } })),
        "Silences": object(json!({ "silences": { "type": "array", "items": { "type": "object" } } })),
        "SilenceWish": body(&["match"], json!({
            "match": body(&[], globs), "until": time(), "duration": time(),
            "reason": maybe("string"),
        })),
        "Maintenances": object(json!({
            "maintenance": { "type": "array", "items": { "type": "object" } },
        })),
        "MaintenanceWish": body(&[], json!({
            "hosts": texts(), "tags": texts(), "groups": texts(), "start": time(), "end": time(),
            "duration": time(),
            "repeat": { "type": "string", "enum": ["once", "daily", "weekly", "monthly"] },
            "days": { "type": "array", "items": {} },
            "zone": maybe("string"), "reason": maybe("string"),
        })),
        "Made": object(json!({ "id": text() })),
        "Thresholds": object(json!({
            "host": maybe("string"), "profiles": texts(),
            "thresholds": { "type": "array", "items": { "type": "object" } },
        })),
    })
}

fn feed() -> Value {
    let event = json!({
        "id": { "type": "integer" }, "timestamp": { "type": "number" }, "kind": { "type": "string" },
        "host": maybe("string"), "level": maybe("string"), "from": maybe("string"),
        "to": maybe("string"), "text": { "type": "string" }, "user": maybe("string"),
    });
    json!({
        "Events": object(json!({
            "events": { "type": "array", "items": object(event) }, "next": maybe("integer"),
        })),
        "Frame": object(json!({ "t": { "type": "string", "enum": ["snap", "d"] } })),
    })
}

fn accounts() -> Value {
    let text = || json!({ "type": "string" });
    let truth = || json!({ "type": "boolean" });
    let user = || json!({ "name": text(), "full_name": text(), "admin": truth() });
    let scope = || json!({ "type": "string", "enum": ["read", "operate", "admin"] });
    let token = json!({
        "id": text(), "user": text(), "name": text(), "scope": scope(),
        "created": { "type": "integer" }, "last_used": maybe("integer"), "expires": maybe("integer"),
    });
    let session = json!({
        "id": text(), "user": text(), "created": { "type": "integer" }, "last_used": { "type": "integer" },
        "remember": truth(), "address": maybe("string"), "current": truth(),
    });
    let known = json!({
        "name": text(), "full_name": text(), "avatar": maybe("string"), "admin": truth(),
        "can_sign_in": truth(), "notification_channels": { "type": "array", "items": { "type": "object" } },
        "origin": { "type": "string", "enum": ["config", "api", "both"] },
    });
    let mut me = object(user());
    me["nullable"] = Value::from(true);
    let mut scope_of_token = scope();
    scope_of_token["nullable"] = Value::from(true);
    scope_of_token["enum"] = json!(["read", "operate", "admin", null]);
    json!({
        "Credentials": body(&["username", "password"], json!({
            "username": text(), "password": text(), "remember": truth(),
        })),
        "Welcome": object(json!({ "token": text(), "user": object(user()) })),
        "Me": object(json!({
            "user": me, "admin": truth(), "scope": scope_of_token, "open": truth(),
        })),
        "Sessions": object(json!({ "sessions": { "type": "array", "items": object(session) } })),
        "Tokens": object(json!({ "tokens": { "type": "array", "items": object(token) } })),
        "TokenWish": body(&["name", "scope"], json!({
            "name": { "type": "string", "minLength": 1, "maxLength": 128 }, "scope": scope(),
            "expires": maybe("number"), "user": maybe("string"),
        })),
        "TokenMade": object(json!({ "id": text(), "token": text(), "scope": scope() })),
        "Users": object(json!({ "users": { "type": "array", "items": object(known) } })),
        "UserWish": body(&[], json!({
            "full_name": { "type": "string", "minLength": 1, "maxLength": 128, "nullable": true },
            "admin": maybe("boolean"),
            "password": { "type": "string", "minLength": 1, "maxLength": 1024, "nullable": true },
            "notification_channels": { "type": "array", "items": {}, "maxItems": 64, "nullable": true },
        })),
    })
}

fn server() -> Value {
    let text = || json!({ "type": "string" });
    json!({
        "Config": object(json!({ "config": { "type": "object" }, "overlay": { "type": "object" } })),
        "Ghosts": object(json!({
            "ghosts": { "type": "array", "items": object(json!({
                "name": text(), "address": text(), "first": { "type": "number" },
                "last": { "type": "number" }, "count": { "type": "integer" }, "reason": text(),
            })) },
        })),
        "GhostWish": body(&["do"], json!({ "do": { "type": "string", "enum": ["accept", "ignore"] } })),
        "CommandWish": body(&["name"], json!({
            "name": text(), "args": texts(), "ttl": maybe("integer"),
        })),
        "UpgradeWish": body(&[], json!({ "version": maybe("string") })),
        "Queued": object(json!({ "id": { "type": "integer" } })),
        "Commands": object(json!({
            "commands": { "type": "array", "items": object(json!({
                "id": { "type": "integer" }, "name": text(), "args": texts(), "state": text(),
                "by": maybe("string"), "queued": { "type": "number" }, "output": text(),
            })) },
        })),
        "Keys": object(json!({
            "keys": { "type": "array", "items": object(json!({
                "host": text(), "id": text(), "created": { "type": "number" },
                "last_used": maybe("number"),
            })) },
        })),
        "TestWish": body(&[], json!({ "channel": maybe("string"), "user": maybe("string") })),
        "Nothing": json!({ "type": "object" }),
        "Changed": object(json!({ "changed": texts() })),
        "Preview": object(json!({ "changes": { "type": "array", "items": object(json!({
            "key": text(), "old": maybe("string"), "new": maybe("string"), "live": { "type": "boolean" },
        })) } })),
        "Problem": object(json!({
            "type": text(), "title": text(), "status": { "type": "integer" }, "detail": text(),
            "code": text(),
        })),
    })
}
