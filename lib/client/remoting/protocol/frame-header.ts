import { RocketMQError } from '../../../message/rocketmq-error.js';
import { decodeBinaryHeader } from './binary-header.js';
import { decodeJsonHeader } from './json-header.js';
import { SerializeType, type CommandHeader, type RemotingCommand } from './remoting-command.js';

/** Length of frame (excluding itself) and of header, 4 bytes each. */
export const FRAME_PREFIX_BYTES = 8;
/** (Java: `NettyDecoder.FRAME_MAX_LENGTH`.) */
export const DEFAULT_MAX_FRAME_BYTES = 16 * 1024 * 1024;

const EMPTY_BODY = Buffer.alloc(0);

/** The word after the frame length: serialization in the top byte, header length below. */
export function headerWord(serializeType: SerializeType, headerLength: number): number {
  return (serializeType << 24) | headerLength;
}

/**
 * Checks the first 8 bytes of a frame, before any memory is given to the rest.
 *
 * @returns bytes of the whole frame, the length field included
 * @throws RocketMQError `PROTOCOL_VIOLATION`
 */
export function frameBytes(bytes: Buffer, at: number, maxFrameBytes: number): number {
  const length = bytes.readInt32BE(at);
  const word = bytes.readInt32BE(at + 4);
  if (length > maxFrameBytes) {
    throw frameError(
      `it claims ${length} bytes and the limit is ${maxFrameBytes}`,
      'Check that the port speaks RocketMQ, or raise the limit on both sides.',
    );
  }
  const headerLength = word & 0xff_ffff;
  const type = word >>> 24;
  if (length < 4 || headerLength > length - 4 || type > SerializeType.ROCKETMQ) {
    throw frameError(
      `frame length ${length}, header length ${headerLength}, serialization ${type} do not go together`,
    );
  }
  return length + 4;
}

/**
 * Decodes the frame between two positions whose prefix {@link frameBytes} has accepted. The body is a view.
 *
 * @throws RocketMQError `PROTOCOL_VIOLATION`
 */
export function decodeFrame(bytes: Buffer, start: number, end: number): RemotingCommand {
  const word = bytes.readInt32BE(start + 4);
  const headerStart = start + FRAME_PREFIX_BYTES;
  const headerEnd = headerStart + (word & 0xff_ffff);
  const binary = word >>> 24 === SerializeType.ROCKETMQ;
  let header: CommandHeader;
  try {
    header = binary
      ? decodeBinaryHeader(bytes.subarray(headerStart, headerEnd))
      : decodeJsonHeader(bytes.toString('utf8', headerStart, headerEnd));
  } catch (cause) {
    if (cause instanceof RocketMQError) throw cause;
    throw frameError('its header cannot be read', undefined, cause);
  }
  return {
    code: header.code,
    opaque: header.opaque,
    flag: header.flag,
    version: header.version,
    remark: header.remark,
    fields: header.fields,
    body: headerEnd < end ? bytes.subarray(headerEnd, end) : EMPTY_BODY,
    serializeType: binary ? SerializeType.ROCKETMQ : SerializeType.JSON,
  };
}

export function frameError(
  why: string,
  next = 'Check that the address is a RocketMQ server.',
  cause?: unknown,
): RocketMQError {
  return new RocketMQError('PROTOCOL_VIOLATION', `A frame cannot be read: ${why}. ${next}`, { cause });
}
