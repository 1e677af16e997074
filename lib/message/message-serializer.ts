import type { ReceivedMessage } from './message.js';
import { RocketMQError } from './rocketmq-error.js';

/**
 * Turns payloads into bodies and back. Set per connection, per listener or per call.
 */
export interface MessageSerializer {
  /** @throws RocketMQError `SERIALIZATION_FAILED` */
  serialize(payload: unknown): Buffer;
  /** @throws RocketMQError `DESERIALIZATION_FAILED` */
  deserialize(body: Buffer, message: ReceivedMessage): unknown;
}

/** JSON in UTF-8; the default. Refuses what JSON cannot carry (undefined, functions, cycles, BigInt). */
export const jsonSerializer: MessageSerializer = {
  serialize(payload) {
    let text: string | undefined;
    try {
      text = JSON.stringify(payload);
    } catch (cause) {
      throw new RocketMQError(
        'SERIALIZATION_FAILED',
        `The payload cannot be written as JSON: ${reason(cause)}. Send plain data, or choose another serializer.`,
        { cause },
      );
    }
    if (text === undefined) {
      throw new RocketMQError(
        'SERIALIZATION_FAILED',
        `A payload of type ${typeof payload} has no JSON form. Send plain data, or choose another serializer.`,
      );
    }
    return Buffer.from(text);
  },
  deserialize(body, message) {
    try {
      return JSON.parse(body.toString('utf8')) as unknown;
    } catch (cause) {
      throw new RocketMQError(
        'DESERIALIZATION_FAILED',
        `The body of message ${message.messageId} (topic "${message.topic}") is not JSON: ${reason(cause)}. Check its producer, or set another serializer on the listener.`,
        { cause },
      );
    }
  },
};

/** Plain text in UTF-8. */
export const textSerializer: MessageSerializer = {
  serialize(payload) {
    if (typeof payload !== 'string') {
      throw new RocketMQError(
        'SERIALIZATION_FAILED',
        `The text serializer got a payload of type ${typeof payload}. Send a string.`,
      );
    }
    return Buffer.from(payload);
  },
  deserialize: (body) => body.toString('utf8'),
};

/** Bytes as they are. */
export const binarySerializer: MessageSerializer = {
  serialize(payload) {
    if (!(payload instanceof Uint8Array)) {
      throw new RocketMQError(
        'SERIALIZATION_FAILED',
        `The binary serializer got a payload of type ${typeof payload}. Send a Buffer or Uint8Array.`,
      );
    }
    return Buffer.isBuffer(payload)
      ? payload
      : Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  },
  deserialize: (body) => body,
};

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
