//! Satellite scenes: the seam where Sentinel-2 and Spexi adapters go. There is none yet, and this
//! file must not pretend otherwise: no scene is ever made up.
//! Called by the satellite worker, which settles vegetation as absent.

/// Where vegetation scenes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SceneSource {
    /// No scene source is configured: vegetation is absent, and the product's rule for absent
    /// vegetation governs (damage from weather alone, capped, and only with two stations).
    #[default]
    Unconfigured,
}

impl SceneSource {
    /// Whether any scene can be expected from this source.
    #[must_use]
    pub fn is_configured(self) -> bool {
        match self {
            Self::Unconfigured => false,
        }
    }
}
