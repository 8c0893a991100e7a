//! DescribeLogDirs: the library lacks version 5 of the response, which says of each directory whether it is cordoned.

use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use kafka_protocol::protocol::Request;

use crate::library::{size_with_library, write_with_library};
use crate::message::{BodyError, ResponseBody};
use crate::wire::{put_compact_array, put_no_tagged_fields, put_text};

/// The version that adds the mark of a cordoned directory.
const CORDONED_VERSION: i16 = 5;

/// At version 5 every directory is written as not cordoned: the library's type has no place for the mark, and no
/// directory of this server can be.
impl ResponseBody for DescribeLogDirsResponse {
    const API_KEY: i16 = <DescribeLogDirsRequest as Request>::KEY;

    fn size_bytes(&self, version: i16) -> Result<usize, BodyError> {
        match version {
            CORDONED_VERSION => {
                let before = size_with_library(Self::API_KEY, CORDONED_VERSION - 1, self)?;
                Ok(before + self.results.len())
            }
            _ => size_with_library(Self::API_KEY, version, self),
        }
    }

    fn write(&self, buffer: &mut BytesMut, version: i16) -> Result<(), BodyError> {
        match version {
            CORDONED_VERSION => write_response(buffer, self),
            _ => write_with_library(Self::API_KEY, version, self, buffer),
        }
    }
}

fn write_response(
    buffer: &mut BytesMut,
    response: &DescribeLogDirsResponse,
) -> Result<(), BodyError> {
    buffer.put_i32(response.throttle_time_ms);
    buffer.put_i16(response.error_code);
    put_compact_array(buffer, &response.results, write_result)?;
    put_no_tagged_fields(buffer);
    Ok(())
}

fn write_result(buffer: &mut BytesMut, result: &DescribeLogDirsResult) -> Result<(), BodyError> {
    buffer.put_i16(result.error_code);
    put_text(buffer, true, Some(&result.log_dir))?;
    put_compact_array(buffer, &result.topics, write_topic)?;
    buffer.put_i64(result.total_bytes);
    buffer.put_i64(result.usable_bytes);
    buffer.put_u8(0);
    put_no_tagged_fields(buffer);
    Ok(())
}

fn write_topic(buffer: &mut BytesMut, topic: &DescribeLogDirsTopic) -> Result<(), BodyError> {
    put_text(buffer, true, Some(&topic.name))?;
    put_compact_array(buffer, &topic.partitions, write_partition)?;
    put_no_tagged_fields(buffer);
    Ok(())
}

fn write_partition(
    buffer: &mut BytesMut,
    partition: &DescribeLogDirsPartition,
) -> Result<(), BodyError> {
    buffer.put_i32(partition.partition_index);
    buffer.put_i64(partition.partition_size);
    buffer.put_i64(partition.offset_lag);
    buffer.put_u8(u8::from(partition.is_future_key));
    put_no_tagged_fields(buffer);
    Ok(())
}
