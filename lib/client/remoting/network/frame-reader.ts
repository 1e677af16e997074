import type { RemotingCommand } from '../protocol/remoting-command.js';
import {
  DEFAULT_MAX_FRAME_BYTES,
  decodeFrame,
  FRAME_PREFIX_BYTES,
  frameBytes,
  frameError,
} from '../protocol/frame-header.js';

/** Memory given to a frame before its bytes have come; after that it doubles. A claimed length is not believed. */
const FIRST_ALLOCATION_BYTES = 256 * 1024;

/**
 * Cuts what a socket delivers into commands. A frame that lies within one chunk is a view into it; one that spans
 * chunks is gathered, with memory in proportion to what has really arrived. After an error the stream has no
 * recognizable continuation, so the reader must not be used again.
 */
export class FrameReader {
  readonly #onCommand: (command: RemotingCommand) => void;
  readonly #maxFrameBytes: number;
  /** The incomplete frame, undefined between frames. */
  #partial: Buffer | undefined;
  #filled = 0;
  /** Bytes of the incomplete frame; its prefix only until that has been read. */
  #needed = 0;

  constructor(
    onCommand: (command: RemotingCommand) => void,
    maxFrameBytes: number = DEFAULT_MAX_FRAME_BYTES,
  ) {
    this.#onCommand = onCommand;
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** Bytes held back for the rest of their frame. */
  get bufferedBytes(): number {
    return this.#partial === undefined ? 0 : this.#filled;
  }

  /** Bytes of memory held for an incomplete frame. */
  get allocatedBytes(): number {
    return this.#partial?.length ?? 0;
  }

  /**
   * To be called when the stream ends.
   *
   * @throws RocketMQError `PROTOCOL_VIOLATION` when it ends within a frame
   */
  end(): void {
    if (this.#partial === undefined) return;
    const { bufferedBytes } = this;
    this.#partial = undefined;
    throw frameError(`the connection ended after ${bufferedBytes} of its bytes`, 'Send the request again.');
  }

  /**
   * Calls back for every command that is complete now.
   *
   * @throws RocketMQError `PROTOCOL_VIOLATION`; the commands before the broken frame were delivered
   */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#partial !== undefined) {
        at = this.#fill(this.#partial, chunk, at);
        continue;
      }
      const left = chunk.length - at;
      const needed =
        left < FRAME_PREFIX_BYTES ? FRAME_PREFIX_BYTES : frameBytes(chunk, at, this.#maxFrameBytes);
      if (left >= needed) {
        this.#onCommand(decodeFrame(chunk, at, at + needed));
        at += needed;
      } else {
        this.#needed = needed;
        this.#filled = 0;
        this.#partial = Buffer.allocUnsafeSlow(Math.min(needed, FIRST_ALLOCATION_BYTES));
      }
    }
  }

  #fill(partial: Buffer, chunk: Buffer, at: number): number {
    const taken = Math.min(this.#needed - this.#filled, chunk.length - at);
    const target = this.#room(partial, this.#filled + taken);
    chunk.copy(target, this.#filled, at, at + taken);
    this.#filled += taken;
    if (this.#filled === this.#needed) this.#complete(target);
    return at + taken;
  }

  #complete(bytes: Buffer): void {
    if (this.#needed === FRAME_PREFIX_BYTES) {
      const needed = frameBytes(bytes, 0, this.#maxFrameBytes);
      if (needed > FRAME_PREFIX_BYTES) {
        this.#needed = needed;
        return;
      }
    }
    this.#partial = undefined;
    this.#onCommand(decodeFrame(bytes, 0, this.#needed));
  }

  #room(partial: Buffer, bytes: number): Buffer {
    if (bytes <= partial.length) return partial;
    const grown = Buffer.allocUnsafeSlow(
      Math.min(
        this.#needed,
        Math.max(bytes, partial.length * 2, Math.min(this.#needed, FIRST_ALLOCATION_BYTES)),
      ),
    );
    partial.copy(grown, 0, 0, this.#filled);
    this.#partial = grown;
    return grown;
  }
}
