//! A map whose first key was read already, because it tells what kind of map it is.
//!
//! Invariant: whoever reads the map then meets all of it, that key included.

use serde::de::value::StringDeserializer;
use serde::de::{DeserializeSeed, IntoDeserializer, MapAccess};

/// A map, and the key that comes first in it.
pub(super) struct Reread<M> {
    /// Until it is read again.
    first: Option<String>,
    rest: M,
}

impl<M> Reread<M> {
    /// Reads the first key of a map of which nothing was read.
    pub(super) fn begin<'de>(mut rest: M) -> Result<Self, M::Error>
    where
        M: MapAccess<'de>,
    {
        Ok(Self { first: rest.next_key()?, rest })
    }

    /// The first key; none of an empty map.
    pub(super) fn first(&self) -> Option<&str> {
        self.first.as_deref()
    }
}

impl<'de, M: MapAccess<'de>> MapAccess<'de> for Reread<M> {
    type Error = M::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, M::Error> {
        match self.first.take() {
            Some(key) => {
                let key: StringDeserializer<M::Error> = key.into_deserializer();
                seed.deserialize(key).map(Some)
            }
            None => self.rest.next_key_seed(seed),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, M::Error> {
        self.rest.next_value_seed(seed)
    }
}
