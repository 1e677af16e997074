import type { Row } from './fake-database.js';
import { LANE } from './outbox-statements.js';
import { change, PARKED, parked, type ParkedRow } from './parking-statements.js';
import type { Statement } from './statements.js';

/** What an operator threw away: labels of messages. */
export const DISCARDED = 'discarded';

const ids = (parameters: readonly unknown[]): readonly number[] =>
  parameters.filter((each) => typeof each === 'number');
const states = (parameters: readonly unknown[]): readonly string[] =>
  parameters.filter((each) => typeof each === 'string');

const COLUMNS =
  'id, state, lane, message_id, topic, tag, ordering_key, message_keys, connection, attempts, error, .* AS size';

/** As the list of parked messages shows a row. */
function shown(row: ParkedRow): Row {
  return { ...row, parked_at: row['created_at'], size: (row['body'] as Buffer).length };
}

/** What an operator does with parked messages. */
export const operatorStatements: readonly Statement[] = [
  {
    name: 'operator.list',
    text: new RegExp(
      `^SELECT ${COLUMNS} FROM rmq_outbox_parked WHERE 1 = 1 AND state = \\$1 AND id > \\$2 ORDER BY id LIMIT 51$`,
    ),
    run: (tx, [state, after]) => ({
      records: parked(tx)
        .filter((row) => row.state === state && row.id > (after as number))
        .slice(0, 51)
        .map(shown),
    }),
  },
  {
    name: 'operator.inspect',
    text: new RegExp(`^SELECT ${COLUMNS}, headers, body FROM rmq_outbox_parked WHERE id = \\$1$`),
    run: (tx, [id]) => ({
      records: parked(tx)
        .filter((row) => row.id === id)
        .map(shown),
    }),
  },
  {
    name: 'operator.targets',
    text: /^SELECT id, lane, state, ordering_key FROM rmq_outbox_parked WHERE 1 = 1 AND id IN \([^)]+\) AND state IN \([^)]+\) AND id > \$\d+ ORDER BY id LIMIT 500$/,
    run: (tx, parameters) => {
      const wanted = ids(parameters.slice(0, -1));
      const after = parameters.at(-1) as number;
      return {
        records: parked(tx).filter(
          ({ id, state }) => wanted.includes(id) && id > after && states(parameters).includes(state),
        ),
      };
    },
  },
  {
    name: 'operator.lock',
    text: /^SELECT 1 FROM rmq_outbox_lane WHERE lane = \$1 FOR UPDATE$/,
    run: async (tx, [lane]) => {
      await tx.lock(LANE, String(lane));
      return { records: [{}] };
    },
  },
  {
    name: 'operator.still',
    text: /^SELECT id, lane, state, ordering_key FROM rmq_outbox_parked WHERE id IN \([^)]+\) AND state IN \([^)]+\)$/,
    run: (tx, parameters) => ({
      records: parked(tx).filter(
        ({ id, state }) => ids(parameters).includes(id) && states(parameters).includes(state),
      ),
    }),
  },
  {
    name: 'operator.replay',
    text: /^UPDATE rmq_outbox_parked SET state = 'retry', due_at = clock_timestamp\(\), attempts = 0 WHERE id IN \(/,
    run: async (tx, parameters) => {
      for (const id of ids(parameters)) {
        await change(tx, id, (row) => ({ ...row, state: 'retry', due_at: tx.now(), attempts: 0 }));
      }
      return {};
    },
  },
  {
    name: 'operator.discard',
    text: /^DELETE FROM rmq_outbox_parked WHERE id IN \(/,
    run: async (tx, parameters) => {
      for (const id of ids(parameters)) {
        await tx.lock(PARKED, String(id));
        const row = tx.get(PARKED, String(id));
        if (row === undefined) continue;
        tx.remove(PARKED, String(id));
        const { label } = JSON.parse((row['body'] as Buffer).toString()) as { readonly label: string };
        tx.put(DISCARDED, label, { label });
      }
      return {};
    },
  },
  {
    name: 'operator.count',
    text: /^UPDATE rmq_outbox_lane SET retrying = retrying \+ \$1, dead = dead \+ \$2 WHERE lane = \$3$/,
    run: async (tx, [retrying, dead, lane]) => {
      await tx.lock(LANE, String(lane));
      const row = tx.get(LANE, String(lane)) as Row;
      const sum = (column: string, more: unknown): number => (row[column] as number) + (more as number);
      tx.put(LANE, String(lane), { ...row, retrying: sum('retrying', retrying), dead: sum('dead', dead) });
      return {};
    },
  },
  {
    name: 'operator.first',
    text: /^SELECT min\(id\) AS id FROM rmq_outbox_parked WHERE lane = \$1 AND ordering_key = \$2 AND state IN \(/,
    run: (tx, [lane, key, ...wanted]) => {
      const first = parked(tx).find(
        (row) => row.lane === lane && row.ordering_key === key && wanted.includes(row.state),
      );
      return { records: [{ id: first?.id ?? null }] };
    },
  },
  {
    name: 'operator.demote',
    text: /^UPDATE rmq_outbox_parked SET state = 'behind', due_at = NULL WHERE lane = \$1 AND ordering_key = \$2 AND state = 'retry' AND id > \$3$/,
    run: async (tx, [lane, key, after]) => {
      for (const row of parked(tx)) {
        if (row.lane !== lane || row.ordering_key !== key || row.id <= (after as number)) continue;
        if (row.state === 'retry') await change(tx, row.id, toBehind);
      }
      return {};
    },
  },
  {
    name: 'operator.demote-all',
    text: /^UPDATE rmq_outbox_parked SET state = 'behind', due_at = NULL WHERE lane = \$1 AND ordering_key = \$2 AND state = 'retry' AND id >= \$3$/,
    run: async (tx, [lane, key, from]) => {
      for (const row of parked(tx)) {
        if (row.lane !== lane || row.ordering_key !== key || row.id < (from as number)) continue;
        if (row.state === 'retry') await change(tx, row.id, toBehind);
      }
      return {};
    },
  },
  {
    name: 'operator.promote',
    text: /^UPDATE rmq_outbox_parked SET state = 'retry', due_at = clock_timestamp\(\) WHERE id = \$1 AND state = 'behind'$/,
    run: async (tx, [id]) => {
      await change(tx, id as number, (row) =>
        row.state === 'behind' ? { ...row, state: 'retry', due_at: tx.now() } : undefined,
      );
      return {};
    },
  },
];

function toBehind(row: ParkedRow): ParkedRow {
  return { ...row, state: 'behind', due_at: null };
}
