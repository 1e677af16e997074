import { readIPv4, readIPv6 } from './socket-address.js';

/** Address and port in a stored message. */
const IPV4_BYTES = 8;
const IPV6_BYTES = 20;

/**
 * Reads the hosts of stored messages. Within one pull they are nearly always the same, so the texts of the last
 * one are kept: formatting them would be a third of the work of decoding.
 */
export class HostReader {
  #key: Buffer = Buffer.alloc(0);
  #text = '';
  #hex: string | undefined;

  /** Positions at a host. @returns how many bytes it takes */
  read(bytes: Buffer, at: number, v6: boolean): number {
    const length = v6 ? IPV6_BYTES : IPV4_BYTES;
    if (!this.#isSame(bytes, at, length)) {
      this.#text = v6 ? readIPv6(bytes, at) : readIPv4(bytes, at);
      this.#key = bytes.subarray(at, at + length);
      this.#hex = undefined;
    }
    return length;
  }

  /** `host:port` */
  get text(): string {
    return this.#text;
  }

  /** As offset message ids begin. */
  get hex(): string {
    this.#hex ??= this.#key.toString('hex').toUpperCase();
    return this.#hex;
  }

  #isSame(bytes: Buffer, at: number, length: number): boolean {
    const key = this.#key;
    if (key.length !== length || at + length > bytes.length) return false;
    for (let index = 0; index < length; index++) if (key[index] !== bytes[at + index]) return false;
    return true;
  }
}
