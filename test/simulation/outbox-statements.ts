import type { Row, Tx } from './fake-database.js';
import type { Statement } from './statements.js';

export const OUTBOX = 'rmq_outbox';
export const LANE = 'rmq_outbox_lane';
export const INSTANCE = 'rmq_outbox_instance';
const SEQUENCE = 'rmq_outbox_sequence';

const COLUMNS = [
  'lane',
  'message_id',
  'topic',
  'tag',
  'ordering_key',
  'message_keys',
  'headers',
  'body',
  'delay_level',
  'delay_ms',
  'deliver_at',
  'connection',
  'sequence',
] as const;

/** Most looks find nothing. */
const NOTHING = {};

export interface LaneRow extends Row {
  readonly lane: number;
  readonly owner: string | null;
  readonly epoch: number;
  readonly expires_at: number;
}

export function newLane(lane: number): LaneRow {
  return { lane, owner: null, epoch: 0, expires_at: -1, retrying: 0, dead: 0 };
}

/** A row as the relay reads it. */
export function read(row: Row, now: number): Row {
  return { ...row, age: now - (row['created_at'] as number) };
}

/** Lanes in order, each locked before it is changed, as an UPDATE does. */
async function changeLanes(
  tx: Tx,
  lanes: readonly { readonly lane: number; readonly epoch: number }[],
  owner: unknown,
  change: (lane: LaneRow) => LaneRow,
): Promise<Row[]> {
  const changed: Row[] = [];
  for (const { lane, epoch } of lanes.length > 1 ? [...lanes].sort((a, b) => a.lane - b.lane) : lanes) {
    const key = String(lane);
    const matches = (row: LaneRow): boolean => row.epoch === epoch && row.owner === owner;
    if (!matches(tx.get(LANE, key) as LaneRow)) continue;
    await tx.lock(LANE, key);
    const row = tx.get(LANE, key) as LaneRow;
    if (!matches(row)) continue; // changed while it was waited for
    tx.put(LANE, key, change(row));
    changed.push({ lane });
  }
  return changed;
}

function pairs(lanes: unknown, epochs: unknown): { lane: number; epoch: number }[] {
  return (lanes as number[]).map((lane, index) => ({ lane, epoch: (epochs as number[])[index] as number }));
}

export const outboxStatements: readonly Statement[] = [
  {
    name: 'outbox.lanes',
    text: /^SELECT count\(\*\) AS lanes FROM rmq_outbox_lane$/,
    run: (tx) => ({ records: [{ lanes: tx.rows(LANE).length }] }),
  },
  {
    name: 'outbox.insert',
    text: /^INSERT INTO rmq_outbox \(lane, message_id,/,
    run: (tx, parameters) => {
      const many = Array.isArray(parameters[0]);
      const rows = many
        ? (parameters[0] as unknown[]).map((_, index) =>
            parameters.map((column) => (column as unknown[])[index]),
          )
        : [parameters];
      const records = rows.map((values) => {
        const id = tx.nextOf('outbox');
        const given = Object.fromEntries(COLUMNS.map((column, index) => [column, values[index] ?? null]));
        const { delay_ms: delay, deliver_at: at, ...columns } = given;
        const deliverAt = at ?? (delay === null ? null : tx.now() + (delay as number));
        const row = { ...columns, id, deliver_at: deliverAt, attempts: 0, created_at: tx.now() };
        tx.put(OUTBOX, String(id), row);
        return { id, deliver_at: deliverAt };
      });
      return { records };
    },
  },
  {
    name: 'outbox.next-sequences',
    text: /^INSERT INTO rmq_outbox_sequence AS s/,
    run: async (tx, [keys, counts]) => {
      const records: Row[] = [];
      const wanted = (keys as string[]).map(
        (key, index) => [key, (counts as number[])[index] as number] as const,
      );
      for (const [key, count] of [...wanted].sort(([a], [b]) => (a < b ? -1 : 1))) {
        await tx.lock(SEQUENCE, key);
        const before = (tx.get(SEQUENCE, key)?.['sequence'] as number | undefined) ?? 0;
        tx.put(SEQUENCE, key, { sequence: before + count });
        records.push({ ordering_key: key, sequence: before + count });
      }
      return { records };
    },
  },
  {
    name: 'outbox.survey',
    text: /^SELECT \(SELECT coalesce\(array_agg\(id ORDER BY id\), '\{\}'\) FROM rmq_outbox_instance WHERE expires_at > clock_timestamp\(\)\) AS instances, \(SELECT count\(\*\) FROM rmq_outbox_lane WHERE expires_at < clock_timestamp\(\)\)/,
    run: (tx) => {
      const now = tx.now();
      const instances: string[] = [];
      for (const row of tx.rows(INSTANCE)) {
        if ((row['expires_at'] as number) > now) instances.push(row['id'] as string);
      }
      instances.sort();
      let claimable = 0;
      for (const row of tx.rows(LANE)) if ((row['expires_at'] as number) < now) claimable += 1;
      return { records: [{ instances, claimable }] };
    },
  },
  {
    name: 'outbox.renew',
    text: /^WITH me AS \( INSERT INTO rmq_outbox_instance .* ON CONFLICT \(id\) DO UPDATE .*UPDATE rmq_outbox_lane l SET expires_at .* WHERE l\.lane = r\.lane AND l\.epoch = r\.epoch AND l\.owner = \$1 RETURNING l\.lane$/,
    run: async (tx, [instance, leaseMs, lanes, epochs]) => {
      const id = instance as string;
      await tx.lock(INSTANCE, id);
      tx.put(INSTANCE, id, { id, expires_at: tx.now() + (leaseMs as number) });
      const records = await changeLanes(tx, pairs(lanes, epochs), id, (lane) => ({
        ...lane,
        expires_at: tx.now() + (leaseMs as number),
      }));
      return { records };
    },
  },
  {
    name: 'outbox.acquire',
    text: /^UPDATE rmq_outbox_lane SET owner = \$1, epoch = epoch \+ 1, .* WHERE lane IN \( SELECT lane FROM rmq_outbox_lane WHERE expires_at < clock_timestamp\(\) .* LIMIT \$3 FOR UPDATE SKIP LOCKED\) RETURNING lane, epoch$/,
    run: async (tx, [instance, leaseMs, max]) => {
      const now = tx.now();
      const free = (tx.rows(LANE) as LaneRow[])
        .filter((row) => row.expires_at < now)
        .sort((a, b) => a.expires_at - b.expires_at || a.lane - b.lane);
      const records: Row[] = [];
      for (const row of free) {
        if (records.length === max) break;
        if (!(await tx.lock(LANE, String(row.lane), { skip: true }))) continue;
        const next = {
          ...row,
          owner: instance as string,
          epoch: row.epoch + 1,
          expires_at: now + (leaseMs as number),
        };
        tx.put(LANE, String(row.lane), next);
        records.push({ lane: next.lane, epoch: next.epoch });
      }
      return { records };
    },
  },
  {
    name: 'outbox.release',
    text: /^UPDATE rmq_outbox_lane l SET owner = NULL, expires_at = clock_timestamp\(\) FROM .* WHERE l\.lane = r\.lane AND l\.epoch = r\.epoch AND l\.owner = \$1$/,
    run: async (tx, [instance, lanes, epochs]) => {
      const changed = await changeLanes(tx, pairs(lanes, epochs), instance, (lane) => ({
        ...lane,
        owner: null,
        expires_at: tx.now(),
      }));
      return { affected: changed.length };
    },
  },
  {
    name: 'outbox.leave',
    text: /^DELETE FROM rmq_outbox_instance WHERE id = \$1$/,
    run: async (tx, [instance]) => {
      await tx.lock(INSTANCE, instance as string);
      tx.remove(INSTANCE, instance as string);
      return {};
    },
  },
  {
    name: 'outbox.fetch',
    text: /^SELECT f\.\* FROM unnest\(\$1::smallint\[\], \$2::bigint\[\]\) AS want \(lane, after\) .* FROM rmq_outbox WHERE lane = want\.lane AND id > want\.after ORDER BY id LIMIT \$3 \) r \) f WHERE f\.before < \$4$/,
    run: (tx, [lanes, afters, limit, bytes]) => {
      const all = tx.rows(OUTBOX);
      if (all.length === 0) return NOTHING;
      const now = tx.now();
      all.sort((a, b) => (a['id'] as number) - (b['id'] as number));
      const records = (lanes as number[]).flatMap((lane, index) => {
        const after = (afters as number[])[index] as number;
        const rows = all.filter((row) => row['lane'] === lane && (row['id'] as number) > after);
        let before = 0;
        return rows.slice(0, limit as number).filter((row) => {
          const fits = before < (bytes as number);
          before += (row['body'] as Buffer).length;
          return fits;
        });
      });
      return { records: records.map((row) => read(row, now)) };
    },
  },
  {
    name: 'outbox.overtaken',
    text: /^SELECT want\.lane FROM unnest\(\$1::smallint\[\], \$2::bigint\[\], \$3::bigint\[\]\) AS want \(lane, after, upto\) WHERE EXISTS \( SELECT 1 FROM rmq_outbox o WHERE o\.lane = want\.lane AND o\.id > want\.after AND o\.id <= want\.upto AND o\.ordering_key = ANY \(\$4::text\[\]\) AND o\.id <> ALL \(\$5::bigint\[\]\)\)$/,
    run: (tx, [lanes, afters, uptos, keys, known]) => {
      const rows = tx
        .rows(OUTBOX)
        .filter(
          (row) =>
            (keys as unknown[]).includes(row['ordering_key']) && !(known as unknown[]).includes(row['id']),
        );
      const records = (lanes as number[])
        .filter((lane, index) =>
          rows.some(
            (row) =>
              row['lane'] === lane &&
              (row['id'] as number) > ((afters as number[])[index] as number) &&
              (row['id'] as number) <= ((uptos as number[])[index] as number),
          ),
        )
        .map((lane) => ({ lane }));
      return { records };
    },
  },
  {
    name: 'outbox.settle',
    text: /^DELETE FROM rmq_outbox o USING unnest\(\$1::smallint\[\], \$2::bigint\[\]\) AS s \(lane, id\) WHERE o\.lane = s\.lane AND o\.id = s\.id$/,
    run: async (tx, [, ids]) => {
      let affected = 0;
      for (const id of (ids as number[]).map(String)) {
        if (tx.get(OUTBOX, id) === undefined) continue;
        await tx.lock(OUTBOX, id);
        if (tx.get(OUTBOX, id) === undefined) continue;
        tx.remove(OUTBOX, id);
        affected += 1;
      }
      return { affected };
    },
  },
];
