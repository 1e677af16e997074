import { syntaxError, tokenize, type Token } from './sql92-tokens.js';
import { and, compare, equal, not, or, type Condition, type Operand, type SqlValue } from './sql92-values.js';

const COMPARISONS: Readonly<Record<string, (a: SqlValue, b: SqlValue) => boolean | undefined>> = {
  '=': equal,
  '<>': (a, b) => not(equal(a, b)),
  '<': (a, b) => compare(a, b, (difference) => difference < 0),
  '<=': (a, b) => compare(a, b, (difference) => difference <= 0),
  '>': (a, b) => compare(a, b, (difference) => difference > 0),
  '>=': (a, b) => compare(a, b, (difference) => difference >= 0),
};

const TEXT_TESTS: Readonly<Record<string, (text: string, part: string) => boolean>> = {
  CONTAINS: (text, part) => text.includes(part),
  STARTSWITH: (text, part) => text.startsWith(part),
  ENDSWITH: (text, part) => text.endsWith(part),
};

/**
 * Compiles the part of SQL92 that brokers understand: comparisons, BETWEEN, IN, IS NULL, CONTAINS, STARTSWITH,
 * ENDSWITH, AND, OR, NOT and parentheses over properties, numbers, texts, TRUE and FALSE. (Java: `SelectorParser`.)
 *
 * @throws BrokerError `BROKER_REJECTED` when it is not such an expression
 */
export function compileSql92(expression: string): Condition {
  return new Parser(expression).parse();
}

class Parser {
  readonly #expression: string;
  readonly #tokens: readonly Token[];
  #position = 0;

  constructor(expression: string) {
    this.#expression = expression;
    this.#tokens = tokenize(expression);
  }

  parse(): Condition {
    const condition = this.#or();
    if (this.#token.kind !== 'end') throw this.#error();
    return condition;
  }

  #or(): Condition {
    let left = this.#and();
    while (this.#skip('OR')) {
      const [a, b] = [left, this.#and()];
      left = (properties) => or(a(properties), b(properties));
    }
    return left;
  }

  #and(): Condition {
    let left = this.#not();
    while (this.#skip('AND')) {
      const [a, b] = [left, this.#not()];
      left = (properties) => and(a(properties), b(properties));
    }
    return left;
  }

  #not(): Condition {
    if (this.#skip('NOT')) {
      const inner = this.#not();
      return (properties) => not(inner(properties));
    }
    if (this.#skip('(')) {
      const inner = this.#or();
      this.#expect(')');
      return inner;
    }
    return this.#predicate();
  }

  #predicate(): Condition {
    const constant = this.#token.value;
    const operand = this.#operand();
    if (this.#skip('IS')) return this.#isNull(operand);
    const negated = this.#skip('NOT');
    const test = this.#negatable(operand);
    if (test) return negated ? (properties) => not(test(properties)) : test;
    if (negated) throw this.#error();
    const comparison = this.#token.kind === 'symbol' ? COMPARISONS[this.#token.value] : undefined;
    if (comparison) {
      this.#position++;
      const right = this.#operand();
      return (properties) => comparison(operand(properties), right(properties));
    }
    // TRUE and FALSE are conditions by themselves; a property is not.
    if (constant !== 'TRUE' && constant !== 'FALSE') throw this.#error();
    return (properties) => operand(properties) as boolean;
  }

  #isNull(operand: Operand): Condition {
    const wanted = !this.#skip('NOT');
    this.#expect('NULL');
    return (properties) => (operand(properties) === undefined) === wanted;
  }

  /** What may have a NOT in front. */
  #negatable(operand: Operand): Condition | undefined {
    if (this.#skip('BETWEEN')) {
      const low = this.#operand();
      this.#expect('AND');
      const high = this.#operand();
      return (properties) => {
        const value = operand(properties);
        return and(
          compare(value, low(properties), (difference) => difference >= 0),
          compare(value, high(properties), (difference) => difference <= 0),
        );
      };
    }
    if (this.#skip('IN')) return this.#in(operand);
    const textTest = TEXT_TESTS[this.#token.value];
    if (this.#token.kind !== 'keyword' || !textTest) return undefined;
    this.#position++;
    const part = this.#text();
    return (properties) => {
      const value = operand(properties);
      return typeof value === 'string' ? textTest(value, part) : undefined;
    };
  }

  #in(operand: Operand): Condition {
    this.#expect('(');
    const texts = [this.#text()];
    while (this.#skip(',')) texts.push(this.#text());
    this.#expect(')');
    return (properties) => {
      const value = operand(properties);
      return value === undefined ? undefined : texts.includes(String(value));
    };
  }

  #operand(): Operand {
    if (this.#skip('-')) {
      const number = -this.#number();
      return () => number;
    }
    const { kind, value } = this.#token;
    if (kind === 'number') {
      const number = this.#number();
      return () => number;
    }
    const isConstant = kind === 'text' || (kind === 'keyword' && (value === 'TRUE' || value === 'FALSE'));
    if (!isConstant && kind !== 'name') throw this.#error();
    this.#position++;
    if (kind === 'name') return (properties) => properties[value];
    const constant = kind === 'text' ? value : value === 'TRUE';
    return () => constant;
  }

  #number(): number {
    if (this.#token.kind !== 'number') throw this.#error();
    return Number(this.#tokens[this.#position++]!.value);
  }

  #text(): string {
    if (this.#token.kind !== 'text') throw this.#error();
    return this.#tokens[this.#position++]!.value;
  }

  get #token(): Token {
    return this.#tokens[this.#position]!;
  }

  #skip(value: string): boolean {
    const { kind, value: found } = this.#token;
    if ((kind !== 'keyword' && kind !== 'symbol') || found !== value) return false;
    this.#position++;
    return true;
  }

  #expect(value: string): void {
    if (!this.#skip(value)) throw this.#error();
  }

  #error(): Error {
    return syntaxError(this.#expression, this.#token.at);
  }
}
