//! The backend's surface as a whole: the table of routes, ceilings, errors, health, callbacks of
//! Africa's Talking, and bringing a database up to date. One binary, so that it links once.

mod callbacks;
mod documents;
mod house;
mod routes;
