/** Three-valued logic: undefined is UNKNOWN. A message passes only when the whole is true. */
export type Truth = boolean | undefined;

/**
 * A constant, or the text of a property; undefined is NULL. A whole number is a bigint, any other a number: brokers
 * read a property as the kind of number it is compared with.
 */
export type SqlValue = string | bigint | number | boolean | undefined;

export type Properties = Readonly<Record<string, string>>;

export interface Operand {
  readonly isConstant: boolean;
  value(properties: Properties): SqlValue;
}

export type Condition = (properties: Properties) => Truth;

const MAX_LONG = 2n ** 63n - 1n;

export function and(a: Truth, b: Truth): Truth {
  if (a === false || b === false) return false;
  return a === undefined || b === undefined ? undefined : true;
}

export function or(a: Truth, b: Truth): Truth {
  if (a === true || b === true) return true;
  return a === undefined || b === undefined ? undefined : false;
}

export function not(a: Truth): Truth {
  return a === undefined ? undefined : !a;
}

/** Undefined when it does not fit into Java's `long`. */
export function toLong(text: string): bigint | undefined {
  if (!/^[+-]?\d+$/.test(text)) return undefined;
  const value = BigInt(text.replace('+', ''));
  return value > MAX_LONG || value < -MAX_LONG - 1n ? undefined : value;
}

function toDouble(text: string): number | undefined {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  return Number.isNaN(value) ? undefined : value;
}

/** The text of a property as the kind of value it meets. Undefined when it is none. */
function alike(text: string, other: SqlValue): SqlValue {
  switch (typeof other) {
    case 'bigint':
      return toLong(text);
    case 'number':
      return toDouble(text);
    case 'boolean':
      return text.toLowerCase() === 'true';
    default:
      return text;
  }
}

/** (Java: `ComparisonExpression`.) */
function pair(a: SqlValue, b: SqlValue): readonly [SqlValue, SqlValue] {
  const [left, right] = [typeof a === 'string' ? alike(a, b) : a, typeof b === 'string' ? alike(b, a) : b];
  if (typeof left === 'bigint' && typeof right === 'number') return [Number(left), right];
  if (typeof left === 'number' && typeof right === 'bigint') return [left, Number(right)];
  return [left, right];
}

export function equal(a: SqlValue, b: SqlValue): Truth {
  // Brokers take two properties that are not there for equal.
  if (a === undefined && b === undefined) return true;
  const [left, right] = pair(a, b);
  return left === undefined || right === undefined ? undefined : left === right;
}

/** `<`, `<=`, `>`, `>=`: for numbers, and for texts that are numbers. */
export function compare(a: SqlValue, b: SqlValue, test: (order: -1 | 0 | 1) => boolean): Truth {
  const [left, right] = pair(a, b).map((value) => (typeof value === 'string' ? toDouble(value) : value));
  if (typeof left === 'boolean' || typeof right === 'boolean') return undefined;
  if (left === undefined || right === undefined) return undefined;
  return test(left < right ? -1 : left > right ? 1 : 0);
}
