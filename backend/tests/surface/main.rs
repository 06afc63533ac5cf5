//! The backend's surface as a whole: the table of routes, ceilings, errors, health, callbacks of
//! Africa's Talking, the API's description, and bringing a database up to date. One binary, so that
//! it links once.

mod callbacks;
mod description;
mod documents;
mod door;
mod house;
mod routes;
