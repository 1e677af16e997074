import type { HistoryEntry } from '../history/history-entry.js';

/** Exit code of a process that never became ready, because something it needs was away: it is started again. */
export const COULD_NOT_START = 3;

/** What is wrong with the end of a process; undefined when nothing is. */
export function judgeExit(
  { who, code, signal, wasReady, asked, late }: Extract<HistoryEntry, { what: 'exited' }>,
  crashed: ReadonlySet<string>,
): string | undefined {
  if (late) return `Stop means drained: ${who} was told to leave and did not end; it was killed`;
  if (signal === 'SIGKILL') return undefined; // that is what is done to it here
  if (signal !== null) return `${who} was ended by ${signal}`;
  if (code === COULD_NOT_START && !wasReady) return undefined;
  if (code !== 0) return crashed.has(who) ? undefined : `${who} ended with ${code}; see ${who}.log`;
  return asked ? undefined : `${who} ended by itself, and nobody had told it to`;
}
