/** A text column; NULL is undefined. */
export function textOrUndefined(value: unknown): string | undefined {
  return value === null || value === undefined ? undefined : (value as string);
}

export function numberOrUndefined(value: unknown): number | undefined {
  return value === null || value === undefined ? undefined : Number(value);
}

/** Times come with fractions of a millisecond. */
export function roundedOrUndefined(value: unknown): number | undefined {
  return value === null || value === undefined ? undefined : Math.round(Number(value));
}

/** Keys have no spaces; RocketMQ joins them by one. */
export function keysText(keys: readonly string[] | undefined): string | null {
  return keys === undefined || keys.length === 0 ? null : keys.join(' ');
}

export function headersText(headers: Readonly<Record<string, string>> | undefined): string | null {
  return headers === undefined || Object.keys(headers).length === 0 ? null : JSON.stringify(headers);
}
