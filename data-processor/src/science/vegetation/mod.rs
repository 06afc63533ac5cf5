//! Vegetation from orbit: from digital numbers to a season's score. Reflectance and NDVI, masks of
//! a scene, composites of a dekad, smoothing, and the score of a season against its baseline.
//! Never an opinion where the sky was closed: fewer than three valid scenes is missing.

pub mod composite;
pub mod reflectance;
pub mod scene;
pub mod score;
pub mod season;
pub mod whittaker;
