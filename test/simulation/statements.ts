import { applicationStatements } from './application-statements.js';
import type { Answer, Tx } from './fake-database.js';
import { inboxStatements } from './inbox-statements.js';
import { operatorStatements } from './operator-statements.js';
import { outboxStatements } from './outbox-statements.js';
import { parkingStatements } from './parking-statements.js';
import { sharedStatements } from './shared-statements.js';

/** One SQL statement of the library, and what it means. */
export interface Statement {
  readonly name: string;
  /** Recognizes its text, white space collapsed. */
  readonly text: RegExp;
  readonly run: (tx: Tx, parameters: readonly unknown[]) => Answer | Promise<Answer>;
}

/**
 * What the library's statements for PostgreSQL do, row by row. Statements are recognized by their text, so that the
 * shipped stores run as they are; a text that nobody knows is an error of the simulator, never ignored. That the
 * real database does the same with them is for the integration tests to prove.
 */
export const STATEMENTS: readonly Statement[] = [
  ...outboxStatements,
  ...parkingStatements,
  ...operatorStatements,
  ...inboxStatements,
  ...sharedStatements,
  ...applicationStatements,
];

/** A statement, and the name of the point where it leaves the process. */
export interface KnownStatement extends Statement {
  readonly point: string;
}

const known = new Map<string, KnownStatement>();

export function statementFor(sql: string): KnownStatement {
  const found = known.get(sql);
  if (found !== undefined) return found;
  const text = sql.replaceAll(/\s+/g, ' ').trim();
  const matching = STATEMENTS.filter((statement) => statement.text.test(text));
  const [statement] = matching;
  if (statement === undefined || matching.length > 1) {
    throw new UnknownStatementError(
      `${matching.length} statements of the simulator match: ${text}. Tell it in test/simulation/*-statements.ts what the statement does.`,
    );
  }
  const result = { ...statement, point: `db.${statement.name}` };
  known.set(sql, result);
  return result;
}

/** The simulator has to be taught. */
export class UnknownStatementError extends Error {}
