//! What the values of a Parquet column mean.

use half::f16;
use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type};
use parquet::schema::types::ColumnDescriptor;

use super::clock::Clock;

/// How a stored value is to be read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Meaning {
    /// A number as it is.
    Number,
    /// A whole number whose bits are unsigned.
    Unsigned,
    /// A whole number divided by this power of ten.
    Decimal { divisor: f64 },
    /// The same in bytes: two's complement, the highest first.
    LongDecimal { divisor: f64 },
    /// Two bytes.
    Half,
    /// A date or a time: a whole number that is no quantity.
    Time(Clock),
    /// UTF-8 text.
    Text,
}

impl Meaning {
    /// The meaning of a flat column, or what it is that is not read, and what to do instead.
    pub(super) fn of(column: &ColumnDescriptor) -> Result<Self, (String, &'static str)> {
        use ConvertedType as C;
        use LogicalType as L;
        if column.max_rep_level() > 0 || column.max_def_level() > 1 {
            return Err(("nested or repeated values".into(), "flatten it before saving"));
        }
        let integer = matches!(column.physical_type(), Type::INT32 | Type::INT64);
        match (column.physical_type(), column.logical_type_ref(), column.converted_type()) {
            (Type::FIXED_LEN_BYTE_ARRAY, Some(L::Float16), _) => Ok(Self::Half),
            (_, Some(L::Decimal(_)), _) | (_, None, C::DECIMAL) if integer => {
                Ok(Self::Decimal { divisor: 10_f64.powi(column.type_scale()) })
            }
            (Type::FIXED_LEN_BYTE_ARRAY | Type::BYTE_ARRAY, Some(L::Decimal(_)), _)
            | (Type::FIXED_LEN_BYTE_ARRAY | Type::BYTE_ARRAY, None, C::DECIMAL) => {
                Ok(Self::LongDecimal { divisor: 10_f64.powi(column.type_scale()) })
            }
            (_, Some(L::Integer(kind)), _) if integer && !kind.is_signed => Ok(Self::Unsigned),
            (_, None, C::UINT_8 | C::UINT_16 | C::UINT_32 | C::UINT_64) if integer => Ok(Self::Unsigned),
            (_, Some(L::Date), _) | (_, None, C::DATE) if integer => Ok(Self::Time(Clock::Days)),
            (_, Some(L::Timestamp(kind)), _) if integer => {
                Ok(Self::Time(Clock::Parts { per_second: per_second(kind.unit), utc: kind.is_adjusted_to_u_t_c }))
            }
            (_, Some(L::Time(kind)), _) if integer => {
                Ok(Self::Time(Clock::OfDay { per_second: per_second(kind.unit) }))
            }
            // Converted types are older than the difference between UTC and civil time: what they hold is UTC.
            (_, None, C::TIMESTAMP_MILLIS) if integer => Ok(Self::Time(Clock::Parts { per_second: 1000, utc: true })),
            (_, None, C::TIMESTAMP_MICROS) if integer => {
                Ok(Self::Time(Clock::Parts { per_second: 1_000_000, utc: true }))
            }
            (_, None, C::TIME_MILLIS) if integer => Ok(Self::Time(Clock::OfDay { per_second: 1000 })),
            (_, None, C::TIME_MICROS) if integer => Ok(Self::Time(Clock::OfDay { per_second: 1_000_000 })),
            (Type::BOOLEAN | Type::INT32 | Type::INT64 | Type::FLOAT | Type::DOUBLE, ..) => Ok(Self::Number),
            (Type::BYTE_ARRAY, Some(L::String | L::Enum | L::Json), _) => Ok(Self::Text),
            (Type::BYTE_ARRAY, None, C::NONE | C::UTF8 | C::ENUM | C::JSON) => Ok(Self::Text),
            (physical, ..) => {
                Err((format!("the type {physical}"), "convert it to float, integer or string before saving"))
            }
        }
    }

    /// A stored INT32.
    pub(super) fn int32(self, value: i32) -> f64 {
        match self {
            Self::Unsigned => f64::from(value.cast_unsigned()),
            Self::Decimal { divisor } => f64::from(value) / divisor,
            _ => f64::from(value),
        }
    }

    /// A stored INT64; beyond 2^53 it is rounded.
    pub(super) fn int64(self, value: i64) -> f64 {
        match self {
            Self::Unsigned => value.cast_unsigned() as f64,
            Self::Decimal { divisor } => value as f64 / divisor,
            _ => value as f64,
        }
    }

    /// Stored bytes; NaN when they are too few or too many.
    pub(super) fn bytes(self, bytes: &[u8]) -> f64 {
        match self {
            Self::LongDecimal { divisor } => long(bytes).map_or(f64::NAN, |value| value as f64 / divisor),
            _ => half(bytes),
        }
    }
}

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::MILLIS => 1000,
        TimeUnit::MICROS => 1_000_000,
        TimeUnit::NANOS => 1_000_000_000,
    }
}

/// A whole number of up to sixteen bytes, the highest first.
fn long(bytes: &[u8]) -> Option<i128> {
    let sign = if bytes.first()? & 0x80 == 0 { 0_i128 } else { -1 };
    (bytes.len() <= 16).then(|| bytes.iter().fold(sign, |value, byte| value << 8 | i128::from(*byte)))
}

/// A half float; NaN when it is not two bytes long.
fn half(bytes: &[u8]) -> f64 {
    let bits = bytes.try_into().ok().map(u16::from_le_bytes);
    bits.map_or(f64::NAN, |bits| f16::from_bits(bits).to_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_decimals_are_twos_complement() {
        let cents = Meaning::LongDecimal { divisor: 100.0 };
        assert_eq!(cents.bytes(&[0x30, 0x39]), 123.45);
        assert_eq!(cents.bytes(&[0xff, 0xff, 0xcf, 0xc7]), -123.45);
        assert_eq!(cents.bytes(&[0xff; 16]), -0.01);
        assert!(cents.bytes(&[0; 17]).is_nan() && cents.bytes(&[]).is_nan());
    }
}
