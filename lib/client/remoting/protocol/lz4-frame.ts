const MAGIC = 0x184d2204;
const UNCOMPRESSED = 0x8000_0000;

/**
 * Reads an LZ4 frame as Java's `Lz4Compressor` writes it. Checksums are not looked at: the stored message has
 * a CRC of its own. Format: "LZ4 Frame Format Description", "LZ4 Block Format Description".
 *
 * @throws RangeError when the frame is broken or its content larger than `maxBytes`
 */
export function decompressLz4Frame(frame: Buffer, maxBytes: number): Buffer {
  if (frame.length < 7 || frame.readUInt32LE(0) !== MAGIC) throw new RangeError('not an LZ4 frame');
  const flags = frame[4] ?? 0;
  if (flags >> 6 !== 1) throw new RangeError('unknown version of the LZ4 frame');
  const blockChecksum = (flags & 0x10) !== 0;
  let at = 6 + ((flags & 0x08) === 0 ? 0 : 8) + ((flags & 0x01) === 0 ? 0 : 4) + 1;
  const output = new Output(maxBytes, Math.min(maxBytes, Math.max(1024, frame.length * 4)));
  for (;;) {
    const size = frame.readUInt32LE(at);
    at += 4;
    if (size === 0) return output.bytes();
    const length = size & ~UNCOMPRESSED;
    const end = at + length;
    if (length < 0 || end > frame.length) throw new RangeError('LZ4 block exceeds its frame');
    if ((size & UNCOMPRESSED) === 0) decompressBlock(frame, at, end, output);
    else output.append(frame, at, end);
    at = end + (blockChecksum ? 4 : 0);
  }
}

function decompressBlock(input: Buffer, start: number, end: number, output: Output): void {
  let at = start;
  const extend = (length: number): number => {
    if (length < 15) return length;
    let sum = length;
    for (;;) {
      if (at >= end) throw new RangeError('LZ4 length runs over the block');
      const more = input[at++] ?? 0;
      sum += more;
      if (more < 255) return sum;
    }
  };
  while (at < end) {
    const token = input[at++] ?? 0;
    const literals = extend(token >> 4);
    if (at + literals > end) throw new RangeError('LZ4 literals run over the block');
    output.append(input, at, at + literals);
    at += literals;
    // The last sequence of a block has literals only.
    if (at === end) return;
    if (at + 2 > end) throw new RangeError('LZ4 match is cut off');
    const distance = (input[at] ?? 0) | ((input[at + 1] ?? 0) << 8);
    at += 2;
    output.repeat(distance, extend(token & 0x0f) + 4);
  }
}

/** Bytes that grow up to a limit. */
class Output {
  readonly #maxBytes: number;
  #buffer: Buffer;
  #length = 0;

  constructor(maxBytes: number, initialBytes: number) {
    this.#maxBytes = maxBytes;
    this.#buffer = Buffer.allocUnsafe(initialBytes);
  }

  append(source: Buffer, start: number, end: number): void {
    this.#reserve(end - start);
    source.copy(this.#buffer, this.#length, start, end);
    this.#length += end - start;
  }

  /** Copies `count` bytes from `distance` bytes back; they may overlap, which repeats a pattern. */
  repeat(distance: number, count: number): void {
    if (distance === 0 || distance > this.#length) throw new RangeError('LZ4 match points outside the data');
    this.#reserve(count);
    const buffer = this.#buffer;
    let to = this.#length;
    let left = count;
    while (left > 0) {
      const step = Math.min(left, to - (this.#length - distance));
      buffer.copyWithin(to, this.#length - distance, this.#length - distance + step);
      to += step;
      left -= step;
    }
    this.#length = to;
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#buffer.length) return;
    if (needed > this.#maxBytes) throw new RangeError('more than the limit after decompression');
    const grown = Buffer.allocUnsafe(Math.min(this.#maxBytes, Math.max(needed, this.#buffer.length * 2)));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }
}
