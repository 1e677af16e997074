import type { Told } from '../../../test/laws/laws.js';

/** What a history can say. Every line is written before the act it describes begins, or after its end is known. */
export type HistoryAct =
  | { readonly what: 'ready' | 'leaves' | 'left' }
  /** A transaction begins. `via`: who runs it. */
  | { readonly what: 'begins'; readonly tx: string; readonly via: string }
  /** The work is done, COMMIT comes next. */
  | { readonly what: 'commits'; readonly tx: string; readonly labels: readonly string[] }
  /** The caller of the transaction was told how it ended. */
  | {
      readonly what: 'told';
      readonly tx: string;
      readonly told: Told;
      readonly labels: readonly string[];
      readonly error?: string;
    }
  | {
      readonly what: 'handles';
      readonly group: string;
      readonly label: string;
      readonly attempt: number;
      readonly concurrency: number;
    }
  | {
      readonly what: 'handled';
      readonly group: string;
      readonly label: string;
      readonly error?: string;
    }
  /** Something nobody caught. */
  | { readonly what: 'crashes'; readonly error: string }
  /** Told by whoever started the process. `asked`: it was told to leave. `late`: it had to be killed for that. */
  | {
      readonly what: 'exited';
      readonly code: number | null;
      readonly signal: string | null;
      readonly wasReady: boolean;
      readonly asked: boolean;
      readonly late: boolean;
    }
  /** Told by the observer of the broker. */
  | {
      readonly what: 'stored';
      readonly label: string;
      readonly topic: string;
      readonly key: string | undefined;
      readonly messageId: string;
      readonly queue: string;
      readonly offset: number;
      readonly storedAt: number;
    };

/** An act, and when and by whom. */
export type HistoryEntry = HistoryAct & {
  /** Epoch milliseconds of the machine's clock, whatever clock the process has. */
  readonly at: number;
  /** Name of the process. */
  readonly who: string;
};

export const HISTORY_SUFFIX = '.history.jsonl';
