/** What an engine may or may not be able to do; checked at boot for every listener and feature that asks. */
export type Capability =
  | 'one-way'
  | 'batch'
  | 'ordered'
  | 'delay-level'
  | 'timer'
  | 'recall'
  | 'transaction'
  | 'broadcasting'
  | 'orderly'
  | 'pull'
  | 'seek'
  | 'sql92'
  | 'start-from-timestamp'
  | 'request-reply'
  | 'query'
  | 'admin';

/** Everything an engine can do. */
export type Capabilities = ReadonlySet<Capability>;
