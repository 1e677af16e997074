import { RocketMQError } from '../../../message/rocketmq-error.js';
import { MAX_PROPERTIES_BYTES } from '../../../message/message-limits.js';

/** One message of a batch. */
export interface BatchMessage {
  /** Application flag; 0 unless a message is passed on. */
  readonly flag: number;
  readonly body: Buffer;
  /** As encoded by `encodeProperties`, or as fields. */
  readonly properties: string;
}

/** Bytes a message takes in a batch besides body and properties. */
export const BATCH_MESSAGE_OVERHEAD = 4 + 4 + 4 + 4 + 4 + 2;

/**
 * The body of SEND_BATCH_MESSAGE: per message size, magic 0, CRC 0, flag, body and properties.
 * (Java: `MessageDecoder.encodeMessages`.)
 *
 * @throws RocketMQError `MESSAGE_TOO_LARGE` when the properties of a message exceed 32,767 bytes
 */
export function encodeBatch(messages: readonly BatchMessage[]): Buffer {
  let total = 0;
  for (const { body, properties } of messages) {
    total += BATCH_MESSAGE_OVERHEAD + body.length + Buffer.byteLength(properties);
  }
  const bytes = Buffer.allocUnsafe(total);
  let at = 0;
  for (const { flag, body, properties } of messages) {
    const propertiesAt = at + BATCH_MESSAGE_OVERHEAD + body.length;
    const propertiesLength = bytes.write(properties, propertiesAt);
    if (propertiesLength > MAX_PROPERTIES_BYTES) throw propertiesTooLarge(propertiesLength);
    const end = propertiesAt + propertiesLength;
    bytes.writeInt32BE(end - at, at);
    bytes.writeInt32BE(0, at + 4);
    bytes.writeInt32BE(0, at + 8);
    bytes.writeInt32BE(flag, at + 12);
    bytes.writeInt32BE(body.length, at + 16);
    body.copy(bytes, at + 20);
    bytes.writeInt16BE(propertiesLength, propertiesAt - 2);
    at = end;
  }
  return bytes;
}

function propertiesTooLarge(length: number): RocketMQError {
  return new RocketMQError(
    'MESSAGE_TOO_LARGE',
    `The properties of a message take ${length} bytes; ${MAX_PROPERTIES_BYTES} is the limit. Move data into the body.`,
  );
}
