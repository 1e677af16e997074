import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** What is done to the run, in the run's folder. A line is written before the act it describes. */
export class RunLog {
  private file: number | undefined;

  constructor(folder: string) {
    this.file = openSync(join(folder, 'faults.jsonl'), 'a');
  }

  write(what: string, details: Readonly<Record<string, unknown>> = {}): void {
    if (this.file === undefined) return;
    writeSync(this.file, `${JSON.stringify({ at: new Date().toISOString(), what, ...details })}\n`);
  }

  close(): void {
    if (this.file !== undefined) closeSync(this.file);
    this.file = undefined;
  }
}
