//! What a correction says of a value that may be none: nothing, "none", or another value.
//! Never holds which value that is; read from JSON, where null and left out differ, and handed to
//! the updates of this crate.

use std::ops::Deref;

use serde::{Deserialize, Deserializer};

/// One field of a correction. In a serde struct, mark it `#[serde(default)]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patch<T> {
    /// Left out: the stored value stays.
    #[default]
    Kept,
    /// Null: there is none from now on.
    Emptied,
    /// Another value.
    Set(T),
}

impl<T> Patch<T> {
    /// Whether the stored value changes.
    #[must_use]
    pub fn is_change(&self) -> bool {
        !matches!(self, Self::Kept)
    }

    /// The other value, if there is one.
    #[must_use]
    pub fn value(self) -> Option<T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Kept | Self::Emptied => None,
        }
    }

    /// The same with what the value refers to.
    #[must_use]
    pub fn as_deref(&self) -> Patch<&T::Target>
    where
        T: Deref,
    {
        match self {
            Self::Kept => Patch::Kept,
            Self::Emptied => Patch::Emptied,
            Self::Set(value) => Patch::Set(value),
        }
    }

    /// The same with the value read by `read`, whose error is passed on.
    pub fn try_map<U, E>(self, read: impl FnOnce(T) -> Result<U, E>) -> Result<Patch<U>, E> {
        Ok(match self {
            Self::Kept => Patch::Kept,
            Self::Emptied => Patch::Emptied,
            Self::Set(value) => Patch::Set(read(value)?),
        })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(source)?.map_or(Self::Emptied, Self::Set))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Correction {
        #[serde(default)]
        group: Patch<String>,
    }

    #[test]
    fn null_and_left_out_are_two_things() {
        let read = |json| serde_json::from_str::<Correction>(json).unwrap().group;
        assert_eq!(read("{}"), Patch::Kept);
        assert_eq!(read(r#"{"group": null}"#), Patch::Emptied);
        assert_eq!(read(r#"{"group": "a"}"#), Patch::Set("a".to_owned()));
    }
}
