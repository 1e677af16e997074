import { crc32 } from 'node:zlib';

import { RocketMQError } from '../../../message/rocketmq-error.js';
import { decompress } from './compression.js';
import { decodeInnerBatch } from './inner-batch.js';
import { HostReader } from './message-hosts.js';
import { decodeProperties } from './message-properties.js';
import { MessageSysFlag } from './message-sys-flag.js';
import type { DecodedMessage, StoredMessage } from './stored-message.js';

export type { DecodedMessage, StoredMessage, UndecodableMessage } from './stored-message.js';

/** Topic length in one byte. (Java: `MessageDecoder.MESSAGE_MAGIC_CODE`.) */
const MAGIC_V1 = -626_843_481;
/** Topic length in two bytes. (Java: `MessageDecoder.MESSAGE_MAGIC_CODE_V2`.) */
const MAGIC_V2 = -626_843_477;
/** Up to and including `bornTimestamp`: the part whose layout never varies. */
const FIXED_BYTES = 48;
/** The shortest message: IPv4 hosts, no body, no topic, no properties. */
const MIN_MESSAGE_BYTES = 91;
/** What the CRC-32 is masked with. (Java: `UtilAll.crc32`.) */
const CRC_MASK = 0x7fff_ffff;
const TWO_POW_32 = 4_294_967_296;

export interface DecodeOptions {
  /** Compare the CRC of the stored body. @default true */
  readonly checkCrc?: boolean;
  /** Inflate compressed bodies. @default true */
  readonly decompress?: boolean;
}

const DEFAULTS: Required<DecodeOptions> = { checkCrc: true, decompress: true };

/**
 * The messages in the body of a pull response. One that cannot be read becomes an {@link UndecodableMessage} and
 * leaves the others alone; when its size is broken as well, it stands for the rest of the body.
 * (Java: `MessageDecoder.decodesBatch`.)
 */
export function decodeMessages(body: Buffer, options: DecodeOptions = DEFAULTS): DecodedMessage[] {
  const messages: DecodedMessage[] = [];
  const hosts: Hosts = { born: new HostReader(), store: new HostReader() };
  let at = 0;
  while (at < body.length) {
    const left = body.length - at;
    const size = left >= 4 ? body.readInt32BE(at) : -1;
    const end = size >= MIN_MESSAGE_BYTES && size <= left ? at + size : body.length;
    try {
      if (end - at !== size) throw broken(`its size ${size} does not fit into the ${left} bytes left`);
      const message = decodeMessage(body, at, end, options, hosts);
      const { sysFlag } = message;
      if ((sysFlag & INNER_BATCH) === INNER_BATCH) {
        for (const inner of decodeInnerBatch(message)) messages.push(inner);
      } else {
        messages.push(message);
      }
    } catch (error) {
      messages.push(undecodable(body, at, end, error));
    }
    at = end;
  }
  return messages;
}

interface Hosts {
  readonly born: HostReader;
  readonly store: HostReader;
}

const INNER_BATCH = MessageSysFlag.INNER_BATCH | MessageSysFlag.NEED_UNWRAP;

/**
 * One stored message between two positions.
 *
 * @throws RocketMQError `PROTOCOL_VIOLATION` or `UNSUPPORTED`; RangeError when a field runs over the end
 */
function decodeMessage(
  bytes: Buffer,
  start: number,
  end: number,
  options: DecodeOptions,
  hosts: Hosts,
): StoredMessage {
  const magic = bytes.readInt32BE(start + 4);
  if (magic !== MAGIC_V1 && magic !== MAGIC_V2) throw broken(`its magic code is ${magic}`);
  const bodyCrc = bytes.readInt32BE(start + 8);
  const queueId = bytes.readInt32BE(start + 12);
  const flag = bytes.readInt32BE(start + 16);
  const queueOffset = readInt64(bytes, start + 20);
  const commitLogOffset = readInt64(bytes, start + 28);
  const storedFlag = bytes.readInt32BE(start + 36);
  const bornTimestamp = readInt64(bytes, start + 40);
  let at = start + FIXED_BYTES;
  at += hosts.born.read(bytes, at, (storedFlag & MessageSysFlag.BORNHOST_V6) !== 0);
  const storeTimestamp = readInt64(bytes, at);
  at += 8;
  at += hosts.store.read(bytes, at, (storedFlag & MessageSysFlag.STOREHOSTADDRESS_V6) !== 0);
  const reconsumeTimes = bytes.readInt32BE(at);
  const preparedTransactionOffset = readInt64(bytes, at + 4);
  const bodyLength = bytes.readInt32BE(at + 12);
  at += 16;
  const bodyEnd = at + bodyLength;
  if (bodyLength < 0 || bodyEnd > end) throw broken(`its body claims ${bodyLength} bytes`);
  const stored = bytes.subarray(at, bodyEnd);
  if (options.checkCrc ?? true) checkCrc(stored, bodyCrc);
  const inflate =
    (storedFlag & MessageSysFlag.COMPRESSED) !== 0 && (options.decompress ?? true) && bodyLength > 0;
  const { topic, properties } = readTail(bytes, bodyEnd, end, magic);
  return {
    topic,
    queueId,
    flag,
    queueOffset,
    commitLogOffset,
    sysFlag: inflate ? storedFlag & ~COMPRESSION_BITS : storedFlag,
    bornTimestamp,
    bornHost: hosts.born.text,
    storeTimestamp,
    storeHost: hosts.store.text,
    reconsumeTimes,
    preparedTransactionOffset,
    body: inflate ? decompress(stored, storedFlag) : stored,
    bodyCrc,
    properties,
    storeSize: end - start,
    offsetMessageId: hosts.store.hex + offsetHex(bytes, start + 28),
  };
}

/** A CRC of 0 is what stores write that did not compute one. */
function checkCrc(stored: Buffer, bodyCrc: number): void {
  if (bodyCrc !== 0 && (crc32(stored) & CRC_MASK) !== bodyCrc)
    throw broken('the CRC of its body does not match');
}

/** Topic and properties, which follow the body. */
function readTail(
  bytes: Buffer,
  start: number,
  end: number,
  magic: number,
): { topic: string; properties: Record<string, string> } {
  const wide = magic === MAGIC_V2;
  const topicAt = start + (wide ? 2 : 1);
  const topicLength = wide ? bytes.readInt16BE(start) : bytes.readUInt8(start);
  const topicEnd = topicAt + topicLength;
  const propertiesAt = topicEnd + 2;
  if (topicLength < 0 || propertiesAt > end) throw broken('its topic runs over its end');
  const propertiesEnd = propertiesAt + bytes.readInt16BE(topicEnd);
  if (propertiesEnd < propertiesAt || propertiesEnd > end) throw broken('its properties run over its end');
  return {
    topic: bytes.toString('utf8', topicAt, topicEnd),
    properties: decodeProperties(bytes.toString('utf8', propertiesAt, propertiesEnd)),
  };
}

const COMPRESSION_BITS = MessageSysFlag.COMPRESSED | MessageSysFlag.COMPRESSION_TYPE_COMPARATOR;

/** The commit-log offset as the end of an offset message id. */
function offsetHex(bytes: Buffer, at: number): string {
  return bytes.toString('hex', at, at + 8).toUpperCase();
}

function readInt64(bytes: Buffer, at: number): number {
  const value = bytes.readInt32BE(at) * TWO_POW_32 + bytes.readUInt32BE(at + 4);
  if (!Number.isSafeInteger(value)) throw broken('it holds a number beyond 2^53');
  return value;
}

function undecodable(body: Buffer, start: number, end: number, cause: unknown): DecodedMessage {
  const positioned = end - start >= MIN_MESSAGE_BYTES;
  return {
    error: cause instanceof RocketMQError ? cause : broken('a field runs over its end', cause),
    queueId: positioned ? body.readInt32BE(start + 12) : -1,
    queueOffset: positioned ? position(body, start + 20) : -1,
    commitLogOffset: positioned ? position(body, start + 28) : -1,
    raw: body.subarray(start, end),
  };
}

function position(bytes: Buffer, at: number): number {
  const value = bytes.readInt32BE(at) * TWO_POW_32 + bytes.readUInt32BE(at + 4);
  return Number.isSafeInteger(value) && value >= 0 ? value : -1;
}

function broken(why: string, cause?: unknown): RocketMQError {
  return new RocketMQError(
    'PROTOCOL_VIOLATION',
    `A stored message cannot be read: ${why}. Look at it with the broker's tools; consumers step over it.`,
    { cause },
  );
}
