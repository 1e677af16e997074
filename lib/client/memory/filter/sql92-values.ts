/** Three-valued logic: undefined is UNKNOWN. A message passes only when the whole is true. */
export type Truth = boolean | undefined;

/** A property or constant; undefined is NULL. */
export type SqlValue = string | number | boolean | undefined;

export type Properties = Readonly<Record<string, string>>;
export type Operand = (properties: Properties) => SqlValue;
export type Condition = (properties: Properties) => Truth;

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

/** Properties are texts; compared with a number they are read as one, and are NULL when they are none. */
function asNumber(value: SqlValue): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string' || value.trim() === '') return undefined;
  const number = Number(value);
  return Number.isNaN(number) ? undefined : number;
}

function asBoolean(value: SqlValue): boolean | undefined {
  if (typeof value === 'boolean') return value;
  const text = typeof value === 'string' ? value.toLowerCase() : undefined;
  return text === 'true' ? true : text === 'false' ? false : undefined;
}

export function equal(a: SqlValue, b: SqlValue): Truth {
  if (a === undefined || b === undefined) return undefined;
  if (typeof a === 'number' || typeof b === 'number') return same(asNumber(a), asNumber(b));
  if (typeof a === 'boolean' || typeof b === 'boolean') return same(asBoolean(a), asBoolean(b));
  return a === b;
}

function same<T>(a: T | undefined, b: T | undefined): Truth {
  return a === undefined || b === undefined ? undefined : a === b;
}

/** `<`, `<=`, `>`, `>=` are for numbers only. */
export function compare(a: SqlValue, b: SqlValue, test: (difference: number) => boolean): Truth {
  const x = asNumber(a);
  const y = asNumber(b);
  return x === undefined || y === undefined ? undefined : test(x - y);
}
