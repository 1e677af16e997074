import { RocketMQError } from '../../../message/rocketmq-error.js';

/** A value of fastjson's dialect. An object that has another object for a key becomes a `Map`. */
export type LenientValue =
  | null
  | boolean
  | number
  | string
  | readonly LenientValue[]
  | { readonly [name: string]: LenientValue }
  | ReadonlyMap<LenientValue, LenientValue>;

/** Deeper than anything a broker sends; keeps hostile bodies off the stack. */
const MAX_DEPTH = 64;

/**
 * Reads what Java's fastjson writes for maps whose keys are not texts: bare numbers (`{0:"a"}`) and objects
 * (`{{"topic":"t"}:{…}}`), as in ConsumeStats, TopicStatsTable, ResetOffsetBody. Standard JSON passes as well.
 *
 * @throws RocketMQError `PROTOCOL_VIOLATION`
 */
export function parseLenientJson(text: string): LenientValue {
  return new LenientJsonParser(text).parse();
}

/** Numbers, true, false, null, and fastjson's bare keys. */
const WORD = /[^\s,:{}[\]"']+/y;
const QUOTED = /"(?:[^"\\]|\\[^])*"/y;
const SPACE = /\s*/y;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

class LenientJsonParser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  parse(): LenientValue {
    const value = this.#value(0);
    this.#skipSpace();
    if (this.#at < this.#text.length) throw this.#unexpected();
    return value;
  }

  #value(depth: number): LenientValue {
    if (depth > MAX_DEPTH) throw this.#broken(`is nested deeper than ${MAX_DEPTH}`);
    this.#skipSpace();
    const next = this.#text[this.#at];
    if (next === '{') return this.#object(depth);
    if (next === '[') return this.#array(depth);
    if (next === '"') return this.#string();
    return this.#literal(this.#word());
  }

  #object(depth: number): LenientValue {
    const entries: [LenientValue, LenientValue][] = [];
    let plain = true;
    this.#at++;
    for (let more = !this.#take('}'); more; more = this.#next('}')) {
      const key = this.#key(depth + 1);
      if (typeof key !== 'string') plain = false;
      this.#expect(':');
      entries.push([key, this.#value(depth + 1)]);
    }
    return plain ? Object.fromEntries(entries as [string, LenientValue][]) : new Map(entries);
  }

  #array(depth: number): LenientValue {
    const items: LenientValue[] = [];
    this.#at++;
    for (let more = !this.#take(']'); more; more = this.#next(']')) items.push(this.#value(depth + 1));
    return items;
  }

  #key(depth: number): LenientValue {
    this.#skipSpace();
    const next = this.#text[this.#at];
    return next === '{' || next === '[' || next === '"' ? this.#value(depth) : this.#word();
  }

  #string(): string {
    const raw = this.#match(QUOTED);
    if (raw === undefined) throw this.#unexpected();
    try {
      return JSON.parse(raw) as string;
    } catch {
      throw this.#broken('has a broken text');
    }
  }

  #word(): string {
    const word = this.#match(WORD);
    if (word === undefined) throw this.#unexpected();
    return word;
  }

  #literal(word: string): LenientValue {
    if (word === 'true') return true;
    if (word === 'false') return false;
    if (word === 'null') return null;
    if (NUMBER.test(word)) return Number(word);
    throw this.#broken(`has the unknown word "${word.slice(0, 20)}"`);
  }

  /** Whether another element follows; takes the comma or the closing character. */
  #next(close: string): boolean {
    if (this.#take(close)) return false;
    this.#expect(',');
    return true;
  }

  #expect(character: string): void {
    if (!this.#take(character)) throw this.#unexpected();
  }

  #take(character: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #skipSpace(): void {
    this.#match(SPACE);
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #unexpected(): RocketMQError {
    const found = this.#text.slice(this.#at, this.#at + 10);
    return this.#broken(found === '' ? 'ends too early' : `has "${found}" where it must not be`);
  }

  #broken(what: string): RocketMQError {
    return new RocketMQError(
      'PROTOCOL_VIOLATION',
      `An answer in JSON ${what}, at character ${this.#at}. Check that the address is a RocketMQ server.`,
    );
  }
}
