//! One connection: frames in, answers out.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use super::fetch::Position;
use super::store::Store;
use super::{Durability, fetch, produce};
use crate::bench::messages::{
    API_VERSIONS, CREATE_TOPICS, CREATE_TOPICS_VERSION, DELETE_TOPICS, DELETE_TOPICS_VERSION,
    FETCH, FETCH_VERSION, LIST_OFFSETS, LIST_OFFSETS_VERSION, PRODUCE, PRODUCE_VERSION,
};
use crate::bench::wire::{Reader, Writer, fixed};
use crate::bench::{Failure, Outcome};

/// What one read takes at most, unless a request is larger.
const INPUT_BYTES: usize = 16 << 10;
const LENGTH_BYTES: usize = 4;
const REQUEST_BYTES_MAX: usize = 100 << 20;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;

const SERVED: [(i16, i16); 5] = [
    (PRODUCE, PRODUCE_VERSION),
    (FETCH, FETCH_VERSION),
    (LIST_OFFSETS, LIST_OFFSETS_VERSION),
    (CREATE_TOPICS, CREATE_TOPICS_VERSION),
    (DELETE_TOPICS, DELETE_TOPICS_VERSION),
];

pub struct Connection {
    pub stream: TcpStream,
    pub store: Arc<Store>,
    pub durability: Durability,
    /// The memory of the last answer, to be used again.
    pub output: Vec<u8>,
    /// Where this connection's last fetches ended.
    pub positions: Vec<Position>,
}

/// Bytes from `begin` to `end` are read and not yet served.
struct Input {
    bytes: Vec<u8>,
    begin: usize,
    end: usize,
}

impl Connection {
    pub fn new(stream: TcpStream, store: Arc<Store>, durability: Durability) -> Self {
        Self {
            stream,
            store,
            durability,
            output: Vec::new(),
            positions: Vec::new(),
        }
    }

    /// Serves requests until the peer closes.
    pub fn run(mut self) -> Outcome<()> {
        let mut input = Input {
            bytes: vec![0; INPUT_BYTES],
            begin: 0,
            end: 0,
        };
        while let Some(length) = self.read_frame(&mut input)? {
            let frame = input.begin + LENGTH_BYTES..input.begin + LENGTH_BYTES + length;
            input.begin = frame.end;
            self.serve(&mut input.bytes[frame])?;
        }
        Ok(())
    }

    /// Reads until a whole request is at the front, and returns its length.
    fn read_frame(&mut self, input: &mut Input) -> Outcome<Option<usize>> {
        if input.begin == input.end {
            (input.begin, input.end) = (0, 0);
        }
        let mut wanted = LENGTH_BYTES;
        loop {
            let has = input.end - input.begin;
            if has >= LENGTH_BYTES {
                let prefix = &input.bytes[input.begin..input.begin + LENGTH_BYTES];
                let length = usize::try_from(i32::from_be_bytes(fixed(prefix)));
                let length = length.unwrap_or(usize::MAX);
                if length > REQUEST_BYTES_MAX {
                    return Err(Failure::new(format!("a request of {length} bytes")));
                }
                wanted = LENGTH_BYTES + length;
            }
            if has >= wanted {
                return Ok(Some(wanted - LENGTH_BYTES));
            }
            if input.begin + wanted > input.bytes.len() {
                input.bytes.copy_within(input.begin..input.end, 0);
                (input.begin, input.end) = (0, has);
                let room = input.bytes.len().max(wanted);
                input.bytes.resize(room, 0);
            }
            // The rest of a large request, or as many small ones as there are.
            let until = if wanted > INPUT_BYTES {
                input.begin + wanted
            } else {
                input.bytes.len()
            };
            match self.stream.read(&mut input.bytes[input.end..until]) {
                Ok(0) => return Ok(None),
                Ok(count) => input.end += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // A client that leaves with answers unread.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn serve(&mut self, frame: &mut [u8]) -> Outcome<()> {
        let mut reader = Reader::new(frame);
        let (api, version) = (reader.int16()?, reader.int16()?);
        let correlation_id = reader.int32()?;
        reader.string()?;
        if api != API_VERSIONS && !SERVED.contains(&(api, version)) {
            return Err(Failure::new(format!(
                "api {api} version {version} is not served"
            )));
        }
        match api {
            PRODUCE => {
                reader.tags()?;
                let body = frame.len() - reader.left();
                produce::serve(self, correlation_id, &mut frame[body..])
            }
            FETCH => {
                reader.tags()?;
                fetch::serve(self, correlation_id, reader)
            }
            _ => {
                let answer = match api {
                    API_VERSIONS => api_versions(correlation_id),
                    CREATE_TOPICS => self.create_topics(correlation_id, reader)?,
                    DELETE_TOPICS => self.delete_topics(correlation_id, reader)?,
                    _ => self.list_offsets(correlation_id, reader)?,
                };
                Ok(self.stream.write_all(&answer)?)
            }
        }
    }

    fn create_topics(&self, correlation_id: i32, mut request: Reader<'_>) -> Outcome<Vec<u8>> {
        let topics = request.count()?;
        let mut answer = answer(correlation_id).int32(0).array(topics);
        for _ in 0..topics {
            let name = request.string()?;
            let partitions = request.count()?;
            request.skip(2)?;
            if request.count()? != 0 {
                return Err(Failure::new("assignments are not served"));
            }
            for _ in 0..request.count()? {
                request.string()?;
                request.string()?;
            }
            self.store.create(name, partitions)?;
            answer = answer.string(name).int16(0).int16(-1);
        }
        Ok(answer.finish())
    }

    fn delete_topics(&self, correlation_id: i32, mut request: Reader<'_>) -> Outcome<Vec<u8>> {
        let topics = request.count()?;
        let mut answer = answer(correlation_id).int32(0).array(topics);
        for _ in 0..topics {
            let name = request.string()?;
            self.store.delete(name)?;
            answer = answer.string(name).int16(0);
        }
        Ok(answer.finish())
    }

    fn list_offsets(&self, correlation_id: i32, mut request: Reader<'_>) -> Outcome<Vec<u8>> {
        request.skip(4)?;
        let topics = request.count()?;
        let mut answer = answer(correlation_id).array(topics);
        for _ in 0..topics {
            let name = request.string()?;
            let partitions = request.count()?;
            let topic = self.store.topic(name);
            answer = answer.string(name).array(partitions);
            for _ in 0..partitions {
                let index = request.int32()?;
                request.skip(8)?;
                let partition = topic
                    .as_deref()
                    .and_then(|topic| topic.get(usize::try_from(index).ok()?));
                let (error, end) = match partition {
                    Some(partition) => (0, partition.end().offset),
                    None => (UNKNOWN_TOPIC_OR_PARTITION, -1),
                };
                answer = answer.int32(index).int16(error).int64(-1).int64(end);
            }
        }
        Ok(answer.finish())
    }
}

fn answer(correlation_id: i32) -> Writer {
    Writer::within(Vec::new()).int32(correlation_id)
}

fn api_versions(correlation_id: i32) -> Vec<u8> {
    let mut answer = answer(correlation_id).int16(0).array(SERVED.len());
    for (api, version) in SERVED {
        answer = answer.int16(api).int16(version).int16(version);
    }
    answer.finish()
}
