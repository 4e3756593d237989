//! Reads for a policy that cannot: which words of an instruction stand on the screen, and where.

use vigorl_agent::NamesTexts;
use vigorl_interface::Screenshot;
use vigorl_policy::PolicyError;
use vigorl_policy::wire::ReadText;
use vigorl_reader::{ReaderError, named_texts};

use crate::SharedReader;

impl NamesTexts for SharedReader {
    fn named_texts(
        &mut self,
        screenshot: &Screenshot,
        instruction: &str,
    ) -> Result<Vec<ReadText>, PolicyError> {
        let reading = match self.read(&screenshot.pixels) {
            Ok(reading) => reading,
            // Then the policy looks without.
            Err(ReaderError::TooLarge { .. } | ReaderError::Stopped) => return Ok(Vec::new()),
            Err(error) => return Err(PolicyError::Backend(Box::new(error))),
        };
        let named = named_texts(&reading, instruction).into_iter();
        Ok(named.map(|named| ReadText { text: named.text, at: named.at }).collect())
    }
}
