/** Imported before anything that reads the clock, except `machine-time.ts`. Timers and monotonic clocks go on as they were. */
import '../history/machine-time.js';
import { readPlan } from './read-plan.js';

const { skewMs } = readPlan();

if (skewMs !== 0) {
  const Real = Date;
  globalThis.Date = new Proxy(Real, {
    construct: (target, args: unknown[], newTarget) =>
      Reflect.construct(target, args.length === 0 ? [Real.now() + skewMs] : args, newTarget) as object,
    apply: () => new Real(Real.now() + skewMs).toString(),
    get: (target, name, receiver) =>
      name === 'now' ? () => Real.now() + skewMs : (Reflect.get(target, name, receiver) as unknown),
  });
}
