import { fileURLToPath } from 'node:url';
import { describe, it } from 'vitest';
import { stopInTheMiddleOfABurst } from './burst.js';

const app = {
  command: process.execPath,
  args: ['--import', 'tsx', fileURLToPath(new URL('burst-app.ts', import.meta.url))],
};

describe('an application that gets SIGTERM in the middle of a burst', () => {
  it.each(['concurrent', 'ordered'] as const)(
    'finishes what it began, closes the database last, and leaves the rest to the next one: %s',
    (mode) => stopInTheMiddleOfABurst(app, mode),
  );
});
