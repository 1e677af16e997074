import { createReadStream, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { HISTORY_SUFFIX, type HistoryEntry } from './history-entry.js';

/** Every line of every history in the folder; those of one process in their order. */
export async function* readLines(folder: string): AsyncGenerator<string> {
  const files = readdirSync(folder)
    .filter((name) => name.endsWith(HISTORY_SUFFIX))
    .toSorted();
  for (const file of files) {
    const lines = createInterface({ input: createReadStream(join(folder, file)), crlfDelay: Infinity });
    for await (const line of lines) if (line !== '') yield line;
  }
}

export async function* readEntries(folder: string): AsyncGenerator<HistoryEntry> {
  for await (const line of readLines(folder)) yield JSON.parse(line) as HistoryEntry;
}
