import type { BrokerError } from '../../broker-error.js';
import { Answer, refusal } from '../broker-answer.js';

export type TokenKind = 'keyword' | 'name' | 'number' | 'text' | 'symbol' | 'end';

export interface Token {
  readonly kind: TokenKind;
  /** Keywords in upper case; of a text what is between the quotes. */
  readonly value: string;
  /** Where it begins in the expression. */
  readonly at: number;
}

const KEYWORDS: ReadonlySet<string> = new Set([
  'AND',
  'OR',
  'NOT',
  'BETWEEN',
  'IN',
  'IS',
  'NULL',
  'TRUE',
  'FALSE',
  'CONTAINS',
  'STARTSWITH',
  'ENDSWITH',
]);

const TOKEN =
  /\s*(?:(?<number>\d+[lL]|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|(?<name>[A-Za-z_$][\w$]*)|'(?<text>(?:[^']|'')*)'|(?<symbol><>|>=|<=|[=<>(),-]))/y;

/** @throws BrokerError `BROKER_REJECTED` */
export function tokenize(expression: string): readonly Token[] {
  const tokens: Token[] = [];
  const end = expression.trimEnd().length;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < end) {
    const at = TOKEN.lastIndex;
    const groups = TOKEN.exec(expression)?.groups;
    if (!groups) throw syntaxError(expression, at);
    tokens.push(toToken(groups, at));
  }
  tokens.push({ kind: 'end', value: 'the end', at: end });
  return tokens;
}

function toToken(groups: Readonly<Record<string, string | undefined>>, at: number): Token {
  const { number, name, text, symbol } = groups;
  if (number !== undefined) return { kind: 'number', value: number, at };
  if (text !== undefined) return { kind: 'text', value: text.replaceAll("''", "'"), at };
  if (name === undefined) return { kind: 'symbol', value: symbol ?? '', at };
  const upper = name.toUpperCase();
  return KEYWORDS.has(upper) ? { kind: 'keyword', value: upper, at } : { kind: 'name', value: name, at };
}

export function syntaxError(expression: string, at: number): BrokerError {
  return refusal(
    'BROKER_REJECTED',
    Answer.SUBSCRIPTION_PARSE_FAILED,
    `The SQL92 filter "${expression}" is not understood from position ${at + 1}: "${expression.slice(at, at + 20)}". Correct the expression.`,
  );
}
