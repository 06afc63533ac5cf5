//! The tests of the pretended world as those outside it see it: its controls, its weather and its
//! page. One binary, so that it links once; must hold no test itself.

mod control;
mod page;
mod weather;
