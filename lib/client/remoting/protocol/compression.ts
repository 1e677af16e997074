import { createRequire } from 'node:module';
import { join } from 'node:path';
import { argv, cwd } from 'node:process';
import { promisify } from 'node:util';
import * as zlib from 'node:zlib';

import { RocketMQError } from '../../../message/rocketmq-error.js';
import { decompressLz4Frame } from './lz4-frame.js';
import { MessageSysFlag } from './message-sys-flag.js';

/** Largest body after decompression: a small message must not be able to fill the memory. */
export const MAX_DECOMPRESSED_BYTES = 64 * 1024 * 1024;
/** (Java: `Validators`/`DefaultMQProducer.compressLevel`.) */
const DEFAULT_COMPRESSION_LEVEL = 5;

const deflate = promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.deflate);

/** zlib, as Java's default compressor writes it. Pair it with {@link ZLIB_SYS_FLAG}. */
export function compress(body: Buffer, level: number = DEFAULT_COMPRESSION_LEVEL): Buffer {
  return zlib.deflateSync(body, { level });
}

/** The same off the event loop, for bodies so large that {@link compress} would hold it up. */
export function compressInBackground(
  body: Buffer,
  level: number = DEFAULT_COMPRESSION_LEVEL,
): Promise<Buffer> {
  return deflate(body, { level });
}

/** Bits for `sysFlag` of a body made by {@link compress}. */
export const ZLIB_SYS_FLAG = MessageSysFlag.COMPRESSED | MessageSysFlag.COMPRESSION_ZLIB_TYPE;

/**
 * Undoes the compression that `sysFlag` names. (Java: `CompressorFactory`.)
 *
 * @throws RocketMQError `PROTOCOL_VIOLATION` when the bytes are broken or grow beyond {@link MAX_DECOMPRESSED_BYTES},
 * `UNSUPPORTED` when no ZSTD decoder is there
 */
export function decompress(body: Buffer, sysFlag: number): Buffer {
  try {
    switch (sysFlag & MessageSysFlag.COMPRESSION_TYPE_COMPARATOR) {
      case 0:
      case MessageSysFlag.COMPRESSION_ZLIB_TYPE:
        return zlib.inflateSync(body, { maxOutputLength: MAX_DECOMPRESSED_BYTES });
      case MessageSysFlag.COMPRESSION_LZ4_TYPE:
        return decompressLz4Frame(body, MAX_DECOMPRESSED_BYTES);
      case MessageSysFlag.COMPRESSION_ZSTD_TYPE:
        return decompressZstd(body);
      default:
        throw new RocketMQError(
          'UNSUPPORTED',
          `A message is compressed with unknown type ${(sysFlag >> 8) & 7}. Let its producer use zlib, LZ4 or ZSTD.`,
        );
    }
  } catch (cause) {
    if (cause instanceof RocketMQError) throw cause;
    throw new RocketMQError(
      'PROTOCOL_VIOLATION',
      'The compressed body of a message is broken or too large. Look at its producer.',
      { cause },
    );
  }
}

type Decompress = (body: Buffer) => Uint8Array;

let zstd: Decompress | undefined;

/** Node brings ZSTD from 22.15 on; below it comes from the optional package `fzstd`. */
function decompressZstd(body: Buffer): Buffer {
  zstd ??= findZstd();
  const bytes = zstd(body);
  if (bytes.length > MAX_DECOMPRESSED_BYTES) throw new RangeError('more than the limit after decompression');
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function findZstd(): Decompress {
  const builtIn = (
    zlib as { zstdDecompressSync?: (body: Buffer, options: { maxOutputLength: number }) => Buffer }
  ).zstdDecompressSync;
  if (builtIn !== undefined) return (body) => builtIn(body, { maxOutputLength: MAX_DECOMPRESSED_BYTES });
  // The package is the application's, so it is looked up from where the application is.
  for (const from of [argv[1], join(cwd(), 'package.json')]) {
    if (from === undefined) continue;
    try {
      return (createRequire(from)('fzstd') as { decompress: Decompress }).decompress;
    } catch {
      // Not there: the next place, and in the end the error below.
    }
  }
  throw new RocketMQError(
    'UNSUPPORTED',
    'A message is compressed with ZSTD, which this Node.js cannot read. Use Node.js 22.15 or newer, or install the package "fzstd".',
  );
}
