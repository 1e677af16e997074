import type { Narrator } from './narrator.js';
import { shortId, type Case } from './scenario.js';
import type { Shop } from './shop.js';
import type { Wiretap } from './wiretap.js';

interface Step {
  readonly at: number;
  readonly text: string;
}

/** Prints what happened to an order: the steps of its history and the messages between them, in the order of time. */
export async function printTimeline(
  entry: Case,
  shop: Shop,
  wiretap: Wiretap,
  narrator: Narrator,
): Promise<void> {
  const { history } = await shop.find(entry.orderId);
  const steps: Step[] = history.map(({ at, status, note }) => ({
    at: Date.parse(at),
    text: `${status.padEnd(17)} ${note}`,
  }));
  for (const { at, message, repeated } of wiretap.about(entry.orderId)) {
    const destination = message.tag === undefined ? message.topic : `${message.topic}:${message.tag}`;
    const remark = repeated ? '  (again: same message id)' : '';
    steps.push({ at, text: `  message ${destination}${remark}` });
  }
  steps.sort((a, b) => a.at - b.at);
  const begin = steps[0]?.at ?? 0;
  narrator.heading(`Order ${shortId(entry.orderId)}: ${entry.quantity} x ${entry.product}, ${entry.title}`);
  for (const { at, text } of steps) {
    narrator.print(`${`+${((at - begin) / 1000).toFixed(3)} s`.padStart(10)}  ${text}`);
  }
}
