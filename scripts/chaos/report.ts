import type { Verdict } from './contract.js';
import type { FaultRecord, Recovery } from './conductor.js';
import type { FaultKind } from './faults/fault.js';
import { CAUGHT_UP_MS } from './recovery.js';

export interface RunFigures {
  readonly kinds: readonly FaultKind[];
  readonly records: readonly FaultRecord[];
  readonly verdict: Verdict;
  /** What the conductor saw itself, in words. */
  readonly violations: readonly string[];
  /** Everything was handled in the end. */
  readonly caughtUp: boolean;
  readonly minutes: number;
}

/** Every law was kept, and everything came in order. */
export function isClean({ verdict, violations, caughtUp }: RunFigures): boolean {
  const { lost, phantom, doubleEffects, orderViolations, otherViolations } = verdict;
  const broken = lost + phantom + doubleEffects + orderViolations + otherViolations + violations.length;
  return broken === 0 && caughtUp && verdict.committed > 0;
}

/** The end of a run as Markdown, ready for docs/reliability.md, and one sentence. */
export function renderReport(figures: RunFigures): string {
  const { verdict, violations, records } = figures;
  const result = table(
    ['', ''],
    [
      ['faults injected', records.length],
      ['messages committed', verdict.committed],
      ['delivered', verdict.delivered],
      ['lost', verdict.lost],
      ['phantom', verdict.phantom],
      ['duplicated on the wire', verdict.duplicatedOnTheWire],
      ['double effects', verdict.doubleEffects],
      ['order violations', verdict.orderViolations],
      ['other violations', verdict.otherViolations + violations.length],
    ],
  );
  const wrong = [...violations, ...verdict.examples].map((text) => `VIOLATION ${text}`);
  return [
    ...(wrong.length > 0 ? [wrong.join('\n')] : []),
    result,
    recoveryTable(figures),
    `Recovery: seconds from the fault's end (* from its begin) until no committed message was unhandled for more than ${
      CAUGHT_UP_MS / 1000
    } s and new ones flowed. Only faults that were alone are measured.`,
    sentence(figures),
  ].join('\n\n');
}

function recoveryTable({ kinds, records }: RunFigures): string {
  const rows = kinds.map((kind) => {
    const ofKind = records.filter((record) => record.kind === kind.name);
    const recoveries = ofKind.flatMap(({ recovery }) => (recovery ? [recovery] : []));
    const times = recoveries.toSorted((one, other) => one.ms - other.ms);
    const name = kind.recoveryFrom === 'begin' ? `${kind.name} *` : kind.name;
    return [name, ofKind.length, seconds(times[Math.floor((times.length - 1) / 2)]), seconds(times.at(-1))];
  });
  return table(['fault', 'injected', 'recovery, median', 'worst'], rows);
}

function seconds(recovery: Recovery | undefined): string {
  if (recovery === undefined) return '-';
  return `${recovery.unfinished ? '> ' : ''}${(recovery.ms / 1000).toFixed(1)} s`;
}

function sentence(figures: RunFigures): string {
  const { verdict, records, kinds, minutes } = figures;
  const faults = `${records.length} faults of ${kinds.length} kinds in ${minutes.toFixed(1)} minutes`;
  if (isClean(figures)) {
    return `Every law was kept: ${verdict.committed} messages committed, ${faults}, nothing lost, nothing invented, one effect each, in order.`;
  }
  if (verdict.committed === 0) return `Nothing was shown: no message was committed (${faults}).`;
  const unfinished = figures.caughtUp ? '' : ' Not everything was handled in the end.';
  return `A law was BROKEN (${faults}): see above.${unfinished}`;
}

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
