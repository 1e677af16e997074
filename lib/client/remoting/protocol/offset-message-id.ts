import { RocketMQError } from '../../../message/rocketmq-error.js';
import { parseHost, readIPv4, readIPv6, splitHostPort } from './socket-address.js';

const IPV4_BYTES = 16;
const IPV6_BYTES = 28;

/**
 * Address of the storing broker and offset in its commit log, as upper-case hex: 32 digits for IPv4, 56 for IPv6.
 * (Java: `MessageDecoder.createMessageId`.)
 *
 * @param storeHost numeric `host:port`
 * @throws RocketMQError `INVALID_ARGUMENT` when the host is not numeric
 */
export function encodeOffsetMessageId(storeHost: string, commitLogOffset: number): string {
  const address = splitHostPort(storeHost);
  const host = address === undefined ? undefined : parseHost(address.host);
  if (address === undefined || host === undefined) {
    throw new RocketMQError(
      'INVALID_ARGUMENT',
      `"${storeHost}" is not a numeric host and port. Give the address the broker is registered with.`,
    );
  }
  const bytes = Buffer.alloc(host.length + 12);
  host.copy(bytes);
  bytes.writeInt32BE(address.port, host.length);
  bytes.writeBigInt64BE(BigInt(commitLogOffset), host.length + 4);
  return bytes.toString('hex').toUpperCase();
}

/**
 * (Java: `MessageDecoder.decodeMessageId`.)
 *
 * @throws RocketMQError `INVALID_ARGUMENT` when it is not an offset message id
 */
export function decodeOffsetMessageId(id: string): {
  readonly address: string;
  readonly commitLogOffset: number;
} {
  const bytes = Buffer.from(id, 'hex');
  const known = bytes.length === IPV4_BYTES || bytes.length === IPV6_BYTES;
  const offset = known ? Number(bytes.readBigInt64BE(bytes.length - 8)) : -1;
  if (bytes.length * 2 !== id.length || offset < 0 || !Number.isSafeInteger(offset)) {
    throw new RocketMQError(
      'INVALID_ARGUMENT',
      `"${id}" is not an offset message id, which has 32 or 56 hex digits. Look the message up by its unique key instead.`,
    );
  }
  const address = bytes.length === IPV4_BYTES ? readIPv4(bytes, 0) : readIPv6(bytes, 0);
  return { address, commitLogOffset: offset };
}
