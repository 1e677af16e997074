import type { Violation } from '../../../test/laws/laws.js';
import type { HistoryEntry } from '../history/history-entry.js';

const MOST_EXAMPLES = 12;
const MOST_LINES = 30;

/** The first violations of each law, each with what the histories say about its messages, in order of time. */
export async function collectExamples(
  violations: readonly Violation[],
  lines: () => AsyncIterable<string>,
): Promise<readonly string[]> {
  if (violations.length === 0) return [];
  const chosen = choose(violations).map((violation) => ({ ...violation, lines: [] as string[] }));
  for await (const line of lines()) {
    for (const each of chosen) {
      if (each.labels.some((label) => line.includes(JSON.stringify(label)))) each.lines.push(line);
    }
  }
  return chosen.map(({ law, text, lines }) => {
    const about = lines.toSorted((one, other) => timeOf(one) - timeOf(other)).slice(0, MOST_LINES);
    return [`[${law}] ${text}`, ...about.map((line) => `    ${line}`)].join('\n');
  });
}

function choose(violations: readonly Violation[]): readonly Violation[] {
  const laws = new Set(violations.map(({ law }) => law));
  const share = Math.ceil(MOST_EXAMPLES / laws.size);
  return [...laws].flatMap((law) => violations.filter((each) => each.law === law).slice(0, share));
}

function timeOf(line: string): number {
  return (JSON.parse(line) as HistoryEntry).at;
}
