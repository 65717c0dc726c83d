//! The agent's state machine: schedule, links per address, retransmission, round trips, spool.
