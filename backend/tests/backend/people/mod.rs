//! People who work here, over the router and on a real database: how they are invited, sign in and
//! leave, what each role may call, and that the log of what they did cannot be rewritten unseen.

mod house;
mod invitations;
mod log;
mod roles;
mod sessions;
