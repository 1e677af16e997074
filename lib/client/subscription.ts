/** Which messages of a topic a consumer group wants. */
export type MessageFilter =
  | { readonly type: 'tag'; /** `*`, or tags joined with `||` */ readonly expression: string }
  | { readonly type: 'sql92'; readonly expression: string };

/** Everything. */
export const ALL_MESSAGES: MessageFilter = { type: 'tag', expression: '*' };

/** Messages that carry one of the tags. */
export function tags(...names: [string, ...string[]]): MessageFilter {
  return { type: 'tag', expression: names.join(' || ') };
}

/** Messages whose properties satisfy the expression; the broker needs `enablePropertyFilter=true`. */
export function sql92(expression: string): MessageFilter {
  return { type: 'sql92', expression };
}

/** A topic, and which of its messages. */
export interface Subscription {
  readonly topic: string;
  /** @default everything */
  readonly filter?: MessageFilter;
}
