/** Header of a dead letter that says why it is one; read it with `message.headers[DEAD_LETTER_REASON]`. */
export const DEAD_LETTER_REASON = 'rmq-dead-letter-reason';

/** Long enough for a sentence, short enough to fit beside any properties. */
const MAX_REASON_LENGTH = 500;

/** The reason in a form brokers store: no control characters, not too long. Undefined when nothing is left. */
export function storableReason(reason: string): string | undefined {
  /* oxlint-disable-next-line no-control-regex */
  const text = reason.replace(/[\u0000-\u001f\u007f]+/g, ' ').trim();
  if (text === '') return undefined;
  return text.length > MAX_REASON_LENGTH ? `${text.slice(0, MAX_REASON_LENGTH - 1)}…` : text;
}
