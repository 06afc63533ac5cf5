//! The backend's surface as a whole: the table of routes, ceilings, errors, health, callbacks of
//! Africa's Talking, the API's description, and bringing a database up to date. Must hold no
//! test itself.

mod callbacks;
mod description;
mod documents;
mod door;
mod house;
mod routes;
