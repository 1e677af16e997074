import type { Row, Tx } from './fake-database.js';
import { LANE, OUTBOX, read } from './outbox-statements.js';
import type { Statement } from './statements.js';

export const PARKED = 'rmq_outbox_parked';

export interface ParkedRow extends Row {
  readonly id: number;
  readonly lane: number;
  readonly state: 'retry' | 'dead' | 'behind';
  readonly ordering_key: string | null;
  readonly due_at: number | null;
}

export function parked(tx: Tx): ParkedRow[] {
  return (tx.rows(PARKED) as ParkedRow[]).sort((a, b) => a.id - b.id);
}

/** Locks and changes a parked row, unless it is gone by then. */
export async function change(
  tx: Tx,
  id: number,
  next: (row: ParkedRow) => ParkedRow | undefined,
): Promise<boolean> {
  await tx.lock(PARKED, String(id));
  const row = tx.get(PARKED, String(id)) as ParkedRow | undefined;
  const changed = row && next(row);
  if (changed === undefined) return false;
  tx.put(PARKED, String(id), changed);
  return true;
}

async function park(
  tx: Tx,
  parameters: readonly unknown[],
  condition: (row: Row) => boolean,
): Promise<Row[]> {
  const [lane, ids, states, delays, attempts, errors] = parameters as [
    number,
    number[],
    string[],
    (number | null)[],
    number[],
    (string | null)[],
  ];
  const moved: Row[] = [];
  for (const [index, id] of ids.entries()) {
    const seen = tx.get(OUTBOX, String(id));
    if (seen === undefined || seen['lane'] !== lane || !condition(seen)) continue;
    await tx.lock(OUTBOX, String(id));
    const row = tx.get(OUTBOX, String(id));
    if (row === undefined) continue;
    tx.remove(OUTBOX, String(id));
    const delay = delays[index] ?? null;
    const next = {
      ...row,
      state: states[index],
      due_at: delay === null ? null : tx.now() + delay,
      attempts: attempts[index],
      error: errors[index],
    };
    tx.put(PARKED, String(id), next);
    moved.push({ id, state: states[index], ordering_key: row['ordering_key'] });
  }
  return moved;
}

/** Of each key, the first row that waits behind becomes due. */
async function promote(tx: Tx, lane: unknown, keys: ReadonlySet<unknown>): Promise<Row[]> {
  const firsts = new Map<string, ParkedRow>();
  for (const row of parked(tx)) {
    const key = row.ordering_key;
    if (row.lane !== lane || row.state !== 'behind' || key === null || !keys.has(key)) continue;
    if (!firsts.has(key)) firsts.set(key, row);
  }
  const promoted: Row[] = [];
  for (const [key, { id }] of firsts) {
    if (await change(tx, id, (row) => ({ ...row, state: 'retry', due_at: tx.now() }))) {
      promoted.push({ ordering_key: key });
    }
  }
  return promoted;
}

export const parkingStatements: readonly Statement[] = [
  {
    name: 'outbox.fence',
    text: /^SELECT 1 FROM rmq_outbox_lane WHERE lane = \$1 AND epoch = \$2 FOR UPDATE$/,
    run: async (tx, [lane, epoch]) => {
      const matches = (): boolean => tx.get(LANE, String(lane))?.['epoch'] === epoch;
      if (!matches()) return {};
      await tx.lock(LANE, String(lane));
      return { records: matches() ? [{}] : [] };
    },
  },
  {
    name: 'outbox.park',
    text: /^WITH moved AS \( DELETE FROM rmq_outbox o (?!.*EXISTS).* INSERT INTO rmq_outbox_parked .* RETURNING id, state, ordering_key$/,
    run: async (tx, parameters) => ({ records: await park(tx, parameters, () => true) }),
  },
  {
    name: 'outbox.park-behind',
    text: /^WITH moved AS \( DELETE FROM rmq_outbox o .*EXISTS \(SELECT 1 FROM rmq_outbox_parked b WHERE b\.lane = o\.lane AND b\.ordering_key = o\.ordering_key AND b\.id < o\.id AND \(b\.state = 'retry' OR \(b\.state = 'dead' AND \$7\)\)\).* INSERT INTO rmq_outbox_parked/,
    run: async (tx, parameters) => {
      const before = parked(tx);
      const block = parameters[6] === true;
      const inFront = (row: Row): boolean =>
        before.some(
          (other) =>
            other.lane === row['lane'] &&
            other.ordering_key === row['ordering_key'] &&
            other.id < (row['id'] as number) &&
            (other.state === 'retry' || (other.state === 'dead' && block)),
        );
      return { records: await park(tx, parameters, inFront) };
    },
  },
  {
    name: 'outbox.demote',
    text: /^UPDATE rmq_outbox_parked later SET state = 'behind', due_at = NULL FROM rmq_outbox_parked first WHERE .* later\.id > first\.id AND later\.state = 'retry'$/,
    run: async (tx, [lane, ids]) => {
      const rows = parked(tx).filter((row) => row.lane === lane);
      const firsts = rows.filter(({ id }) => (ids as number[]).includes(id));
      let affected = 0;
      for (const later of rows) {
        const { ordering_key: key } = later;
        if (later.state !== 'retry' || key === null) continue;
        if (!firsts.some((first) => first.ordering_key === key && first.id < later.id)) continue;
        if (await change(tx, later.id, (row) => ({ ...row, state: 'behind', due_at: null }))) affected += 1;
      }
      return { affected };
    },
  },
  {
    name: 'outbox.still-there',
    text: /^SELECT id FROM rmq_outbox WHERE lane = \$1 AND id = ANY \(\$2::bigint\[\]\)$/,
    run: (tx, [lane, ids]) => ({
      records: tx
        .rows(OUTBOX)
        .filter((row) => row['lane'] === lane && (ids as unknown[]).includes(row['id'])),
    }),
  },
  {
    name: 'outbox.promote',
    text: /^UPDATE rmq_outbox_parked p SET state = 'retry'.*SELECT ordering_key FROM rmq_outbox_parked WHERE lane = \$1 AND id = ANY \(\$2::bigint\[\]\) AND state = 'dead'.* RETURNING p\.ordering_key$/,
    run: async (tx, [lane, ids]) => {
      const dead = parked(tx).filter(
        (row) => row.lane === lane && row.state === 'dead' && (ids as number[]).includes(row.id),
      );
      return { records: await promote(tx, lane, new Set(dead.map((row) => row.ordering_key))) };
    },
  },
  {
    name: 'outbox.promote-keys',
    text: /^UPDATE rmq_outbox_parked p SET state = 'retry'.*SELECT unnest\(\$2::text\[\]\).* RETURNING p\.ordering_key$/,
    run: async (tx, [lane, keys]) => ({ records: await promote(tx, lane, new Set(keys as string[])) }),
  },
  {
    name: 'outbox.count',
    text: /^UPDATE rmq_outbox_lane SET retrying = greatest/,
    run: async (tx, [lane, retrying, dead]) => {
      await tx.lock(LANE, String(lane));
      const row = tx.get(LANE, String(lane)) as Row;
      const sum = (column: string, more: unknown): number =>
        Math.max(0, (row[column] as number) + (more as number));
      tx.put(LANE, String(lane), { ...row, retrying: sum('retrying', retrying), dead: sum('dead', dead) });
      return { affected: 1 };
    },
  },
  {
    name: 'outbox.blocked-keys',
    text: /^SELECT DISTINCT lane, ordering_key FROM rmq_outbox_parked WHERE lane = ANY \(\$1::smallint\[\]\) AND ordering_key IS NOT NULL AND \(state <> 'dead' OR \$2\)$/,
    run: (tx, [lanes, block]) => ({
      records: parked(tx)
        .filter(({ lane, ordering_key: key }) => (lanes as number[]).includes(lane) && key !== null)
        .filter(({ state }) => state !== 'dead' || block === true),
    }),
  },
  {
    name: 'outbox.due-lanes',
    text: /^SELECT DISTINCT lane FROM rmq_outbox_parked WHERE state = 'retry' AND due_at <= clock_timestamp\(\) AND lane = ANY \(\$1::smallint\[\]\)$/,
    run: (tx, [lanes]) => {
      const due = parked(tx).filter(
        (row) =>
          row.state === 'retry' &&
          (row.due_at ?? Infinity) <= tx.now() &&
          (lanes as number[]).includes(row.lane),
      );
      return { records: [...new Set(due.map(({ lane }) => lane))].map((lane) => ({ lane })) };
    },
  },
  {
    name: 'outbox.unpark',
    text: /^WITH due AS \( SELECT id, ordering_key FROM rmq_outbox_parked WHERE lane = \$1 AND state = 'retry' AND due_at <= clock_timestamp\(\) ORDER BY due_at LIMIT \$2 \).* behind\.state = 'behind' AND behind\.id > due\.id ORDER BY behind\.id LIMIT \$2\) \), back AS \( DELETE FROM rmq_outbox_parked .* INSERT INTO rmq_outbox /,
    run: async (tx, [lane, limit]) => {
      const rows = parked(tx).filter((row) => row.lane === lane);
      const due = rows
        .filter((row) => row.state === 'retry' && (row.due_at ?? Infinity) <= tx.now())
        .sort((a, b) => (a.due_at ?? 0) - (b.due_at ?? 0))
        .slice(0, limit as number);
      const behind = rows
        .filter(
          (row) =>
            row.state === 'behind' &&
            due.some((first) => first.ordering_key === row.ordering_key && first.id < row.id),
        )
        .slice(0, limit as number);
      const records: Row[] = [];
      for (const { id } of [...due, ...behind]) {
        await tx.lock(PARKED, String(id));
        const row = tx.get(PARKED, String(id));
        if (row === undefined) continue;
        tx.remove(PARKED, String(id));
        const { state: _state, due_at: _due, error: _error, ...back } = row;
        tx.put(OUTBOX, String(id), back);
        records.push(read(back, tx.now()));
      }
      return { records };
    },
  },
];
