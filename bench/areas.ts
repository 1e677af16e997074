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

type Measure = (context: BenchContext) => Promise<readonly Area[]>;

/** An area that is short enough to be measured again when it was interrupted. The others have parts of their own. */
function asOne(name: string, measure: Measure): Measure {
  return (context) => context.part(name, () => measure(context));
}

/** What can be measured, by the name it has on the command line. */
export const AREAS: Readonly<Record<string, Measure>> = {
  send: asOne('send', benchSend),
  consume: asOne('consume', benchConsume),
  listener: asOne('listener', benchListener),
  outbox: benchOutbox,
  idempotent: benchIdempotent,
  start: asOne('start', benchStart),
  memory: asOne('memory', benchMemory),
  growth: benchGrowth,
};
