//! Server-sent events, as far as chat completions use them. Invariant: an event is given out once, when its line is whole.
//!
//! Source: the HTML standard, section 9.2, of which servers of this API use one thing: an event is one line `data: …`.
//! Other fields and comments are skipped.

/// Cuts a stream of bytes into events.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// What came behind the last whole line.
    rest: Vec<u8>,
}

impl Events {
    /// What the events say whose lines are whole by now.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Vec<String> {
        self.rest.extend_from_slice(bytes);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
        let behind = self.rest.split_off(end + 1);
        let whole = std::mem::replace(&mut self.rest, behind);
        whole.split(|byte| *byte == b'\n').filter_map(data).collect()
    }

    /// What the last event says, if its line has no end.
    pub(crate) fn finish(self) -> Option<String> {
        data(&self.rest)
    }
}

/// What a line says, if it says something.
fn data(line: &[u8]) -> Option<String> {
    let text = line.strip_prefix(b"data:")?;
    Some(String::from_utf8_lossy(text).trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wherever_the_bytes_are_cut_the_events_are_the_same() {
        let stream = "data: {\"a\": \"é\"}\n\n: a comment\r\ndata:{}\r\n\r\nevent: x\nid: 1\ndata: [DONE]\n\ndata: left";
        for n in 1..stream.len() {
            let mut events = Events::default();
            let mut taken: Vec<String> =
                stream.as_bytes().chunks(n).flat_map(|bytes| events.take(bytes)).collect();
            taken.extend(events.finish());
            assert_eq!(taken, ["{\"a\": \"é\"}", "{}", "[DONE]", "left"], "in pieces of {n}");
        }
    }
}
