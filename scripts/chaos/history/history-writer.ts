import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { HISTORY_SUFFIX, type HistoryAct, type HistoryEntry } from './history-entry.js';
import { machineTime } from './machine-time.js';

/** Appends to the history of a process. What was written survives the death of the process by any signal. */
export class HistoryWriter {
  readonly #file: number;

  constructor(
    folder: string,
    private readonly who: string,
  ) {
    this.#file = openSync(join(folder, `${who}${HISTORY_SUFFIX}`), 'a');
  }

  add(act: HistoryAct): void {
    const entry: HistoryEntry = { at: machineTime(), who: this.who, ...act };
    writeSync(this.#file, `${JSON.stringify(entry)}\n`);
  }

  close(): void {
    closeSync(this.#file);
  }
}
