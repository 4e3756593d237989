//! As much of the ONNX format, a protocol buffer, as the models' notes need.
//!
//! Invariant: damaged bytes give `None`.
//! Source: `onnx.proto3` of onnx 1.17 (the numbers of fields), protobuf's encoding guide.

/// Of a model: its notes.
const MODEL_METADATA: u64 = 14;

/// One field of a message.
pub(crate) struct Field<'a> {
    pub(crate) number: u64,
    /// The field with its key, as it is.
    #[allow(dead_code, reason = "the build script copies fields")]
    pub(crate) whole: &'a [u8],
    pub(crate) value: Wire<'a>,
}

pub(crate) enum Wire<'a> {
    #[allow(dead_code, reason = "the build script reads types")]
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed,
}

pub(crate) fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

pub(crate) fn fields(mut message: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let start = message;
        let key = varint(&mut message)?;
        let mut take = |n: usize| {
            let taken = message.split_at_checked(n)?;
            message = taken.1;
            Some(taken.0)
        };
        let value = match key & 7 {
            0 => Wire::Varint(varint(&mut message)?),
            1 => take(8).map(|_| Wire::Fixed)?,
            2 => {
                let length = varint(&mut message)?;
                let (bytes, rest) = message.split_at_checked(usize::try_from(length).ok()?)?;
                message = rest;
                Wire::Bytes(bytes)
            }
            5 => take(4).map(|_| Wire::Fixed)?,
            _ => return None,
        };
        fields.push(Field { number: key >> 3, whole: &start[..start.len() - message.len()], value });
    }
    Some(fields)
}

/// The note that the model carries under `key`.
pub(crate) fn metadata(model: &[u8], key: &str) -> Option<String> {
    fields(model)?.into_iter().filter(|field| field.number == MODEL_METADATA).find_map(|field| {
        let Wire::Bytes(entry) = field.value else { return None };
        let texts: Vec<&[u8]> = fields(entry)?
            .into_iter()
            .filter_map(|part| match part.value {
                Wire::Bytes(bytes) => Some(bytes),
                Wire::Varint(_) | Wire::Fixed => None,
            })
            .collect();
        let [name, value] = texts.as_slice() else { return None };
        (*name == key.as_bytes()).then(|| String::from_utf8(value.to_vec()).ok())?
    })
}
