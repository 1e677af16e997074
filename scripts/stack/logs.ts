import { open, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { StackPart } from './java-part.js';

/** More than this from the end of a file is not read. */
const TAIL_BYTES = 256 * 1024;

async function readFrom(path: string, position: number): Promise<{ text: string; end: number }> {
  const size = (await stat(path).catch(() => undefined))?.size ?? 0;
  // Smaller than before: the file was rolled over.
  const start = size < position ? 0 : Math.max(position, size - TAIL_BYTES);
  if (size === start) return { text: '', end: size };
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start);
    return { text: buffer.toString('utf8', 0, bytesRead), end: start + bytesRead };
  } finally {
    await file.close();
  }
}

export interface FollowOptions {
  /** From the end of each log. */
  readonly lines: number;
  /** Goes on until the signal. */
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

/** Prints the logs, each line with the name of its part when there are several. */
export async function followLogs(parts: readonly StackPart[], options: FollowOptions): Promise<void> {
  const positions = new Map<string, number>();
  const width = Math.max(...parts.map((part) => part.name.length));
  const print = (part: StackPart, lines: readonly string[]): void => {
    const prefix = parts.length > 1 ? `${part.name.padEnd(width)} | ` : '';
    for (const line of lines) if (line !== '') console.log(`${prefix}${line}`);
  };
  for (const part of parts) {
    const { text, end } = await readFrom(part.logFile, 0);
    positions.set(part.name, end);
    print(part, text.split('\n').filter(Boolean).slice(-options.lines));
  }
  while (options.follow && !options.signal.aborted) {
    for (const part of parts) {
      const { text, end } = await readFrom(part.logFile, positions.get(part.name) ?? 0);
      positions.set(part.name, end);
      print(part, text.split('\n'));
    }
    await delay(300, undefined, { signal: options.signal }).catch(() => {});
  }
}
