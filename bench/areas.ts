import { benchConsume } from './areas/consume.js';
import { benchGrowth } from './areas/growth.js';
import { benchIdempotent } from './areas/idempotent.js';
import { benchListener } from './areas/listener.js';
import { benchMemory } from './areas/memory.js';
import { benchOutbox } from './areas/outbox.js';
import { benchSend } from './areas/send.js';
import { benchStart } from './areas/start.js';
import type { BenchContext } from './context.js';
import type { Area } from './report.js';

/** What can be measured, by the name it has on the command line. */
export const AREAS: Readonly<Record<string, (context: BenchContext) => Promise<readonly Area[]>>> = {
  send: benchSend,
  consume: benchConsume,
  listener: benchListener,
  outbox: benchOutbox,
  idempotent: benchIdempotent,
  start: benchStart,
  memory: benchMemory,
  growth: benchGrowth,
};
