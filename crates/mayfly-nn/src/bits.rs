//! Numbers in JSON that must come back as they were, NaN and infinity included: figures by their bits, settings as numbers where possible.
use serde::{Deserialize, Deserializer, Serializer};

pub(crate) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(value.to_bits())
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    u64::deserialize(deserializer).map(f64::from_bits)
}

/// The same for values that may be missing.
pub(crate) mod option {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(f64::to_bits).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(f64::from_bits))
    }
}

/// Settings that may be infinite, which JSON has no number for: finite ones stay numbers, the others become text (`"inf"`), and so do those that a reader of
/// JSON would round.
pub(crate) mod number {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
    use std::fmt::Display;
    use std::str::FromStr;

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    pub(super) enum Written<T> {
        Number(T),
        Text(String),
    }

    /// What numbers of both widths can do.
    pub(crate) trait Number: Copy + Display + FromStr + Into<f64> {}
    impl Number for f32 {}
    impl Number for f64 {}

    pub(super) fn written<T: Number>(value: T) -> Written<T> {
        let wide: f64 = value.into();
        let stays = wide.is_finite() && serde_json::from_str(&wide.to_string()).is_ok_and(|again: f64| again == wide);
        if stays { Written::Number(value) } else { Written::Text(value.to_string()) }
    }

    pub(super) fn read<T: Number, E: Error>(written: Written<T>) -> Result<T, E> {
        match written {
            Written::Number(value) => Ok(value),
            Written::Text(text) => text.parse().map_err(|_| E::custom(format!("{text:?} is no number"))),
        }
    }

    pub(crate) fn serialize<T: Number + Serialize, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        written(*value).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, T: Number + Deserialize<'de>, D: Deserializer<'de>>(d: D) -> Result<T, D::Error> {
        read(Written::deserialize(d)?)
    }

    /// The same for settings that may be missing.
    pub(crate) mod option {
        use super::{Number, Written, read, written};
        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        pub(crate) fn serialize<T: Number + Serialize, S: Serializer>(v: &Option<T>, s: S) -> Result<S::Ok, S::Error> {
            v.map(written).serialize(s)
        }

        pub(crate) fn deserialize<'de, T, D>(d: D) -> Result<Option<T>, D::Error>
        where
            T: Number + Deserialize<'de>,
            D: Deserializer<'de>,
        {
            Option::<Written<T>>::deserialize(d)?.map(read).transpose()
        }
    }
}
