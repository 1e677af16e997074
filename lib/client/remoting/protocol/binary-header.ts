import { CLIENT_LANGUAGE, CLIENT_VERSION } from './client-version.js';
import type { CommandHeader, HeaderFields } from './remoting-command.js';

/** code 2, language 1, version 2, opaque 4, flag 4, length of remark 4, length of fields 4. */
const FIXED_BYTES = 21;

/** A header in RocketMQ's own serialization. (Java: `RocketMQSerializable.rocketMQProtocolEncode`.) */
export function encodeBinaryHeader(
  code: number,
  opaque: number,
  flag: number,
  remark: string | undefined,
  fields: HeaderFields | undefined,
): Buffer {
  const remarkBytes = remark === undefined ? 0 : Buffer.byteLength(remark);
  const entries = Object.entries(fields ?? {})
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [Buffer.from(name), Buffer.from(String(value))] as const);
  const fieldBytes = entries.reduce((sum, [name, value]) => sum + 2 + name.length + 4 + value.length, 0);
  const bytes = Buffer.allocUnsafe(FIXED_BYTES + remarkBytes + fieldBytes);
  let at = bytes.writeInt16BE(code, 0);
  at = bytes.writeUInt8(CLIENT_LANGUAGE.code, at);
  at = bytes.writeInt16BE(CLIENT_VERSION, at);
  at = bytes.writeInt32BE(opaque, at);
  at = bytes.writeInt32BE(flag, at);
  at = bytes.writeInt32BE(remarkBytes, at);
  if (remark !== undefined) at += bytes.write(remark, at);
  at = bytes.writeInt32BE(fieldBytes, at);
  for (const [name, value] of entries) {
    at = bytes.writeInt16BE(name.length, at);
    at += name.copy(bytes, at);
    at = bytes.writeInt32BE(value.length, at);
    at += value.copy(bytes, at);
  }
  return bytes;
}

/**
 * (Java: `RocketMQSerializable.rocketMQProtocolDecode`.)
 *
 * @throws RangeError when a length runs over the end
 */
export function decodeBinaryHeader(bytes: Buffer): CommandHeader {
  const remarkLength = bytes.readInt32BE(13);
  const fieldsAt = 17 + checkLength(bytes, 17, remarkLength);
  const end = fieldsAt + 4 + checkLength(bytes, fieldsAt + 4, bytes.readInt32BE(fieldsAt));
  const fields: Record<string, string> = {};
  let at = fieldsAt + 4;
  while (at < end) {
    const nameEnd = at + 2 + checkLength(bytes, at + 2, bytes.readInt16BE(at));
    const valueLength = checkLength(bytes, nameEnd + 4, bytes.readInt32BE(nameEnd));
    const name = bytes.toString('utf8', at + 2, nameEnd);
    at = nameEnd + 4 + valueLength;
    const value = bytes.toString('utf8', nameEnd + 4, at);
    // A name like this would reach the prototype.
    if (name !== '__proto__') fields[name] = value;
  }
  return {
    code: bytes.readInt16BE(0),
    version: bytes.readInt16BE(3),
    opaque: bytes.readInt32BE(5),
    flag: bytes.readInt32BE(9),
    remark: remarkLength === 0 ? undefined : bytes.toString('utf8', 17, fieldsAt),
    fields,
  };
}

function checkLength(bytes: Buffer, at: number, length: number): number {
  if (length < 0 || at + length > bytes.length) throw new RangeError(`length ${length} runs over the header`);
  return length;
}
