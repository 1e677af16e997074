import { syntaxError, tokenize, type Token } from './sql92-tokens.js';
import {
  and,
  compare,
  equal,
  not,
  or,
  toLong,
  type Condition,
  type Operand,
  type SqlValue,
  type Truth,
} from './sql92-values.js';

const EQUALITIES: Readonly<Record<string, (a: SqlValue, b: SqlValue) => Truth>> = {
  '=': equal,
  '<>': (a, b) => not(equal(a, b)),
};

const ORDERS: Readonly<Record<string, (order: -1 | 0 | 1) => boolean>> = {
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
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
 * In one thing it differs on purpose: brokers take `a = 5 nonsense`, `a LIKE 'x'` or a property alone, and then ignore
 * the rest or match nothing; here that is refused.
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
    const { kind, value: word } = this.#token;
    const operand = this.#operand();
    if (this.#skip('IS')) return this.#isNull(operand);
    const negated = this.#skip('NOT');
    const test = this.#negatable(operand, negated);
    if (test) return negated ? (properties) => not(test(properties)) : test;
    if (negated) throw this.#error();
    const comparison = this.#comparison(operand);
    if (comparison) return comparison;
    // TRUE and FALSE are conditions by themselves; a property is not.
    if (kind !== 'keyword') throw this.#error();
    return () => word === 'TRUE';
  }

  #comparison(left: Operand): Condition | undefined {
    const { kind, value: symbol } = this.#token;
    const equality = kind === 'symbol' ? EQUALITIES[symbol] : undefined;
    const order = kind === 'symbol' ? ORDERS[symbol] : undefined;
    if (!equality && !order) return undefined;
    this.#position++;
    const right = order ? this.#numeric() : this.#operand();
    if (order && isText(left)) throw this.#error();
    return (properties) => {
      const [a, b] = [left.value(properties), right.value(properties)];
      return order ? compare(a, b, order) : equality?.(a, b);
    };
  }

  #isNull(operand: Operand): Condition {
    const wanted = !this.#skip('NOT');
    this.#expect('NULL');
    return (properties) => (operand.value(properties) === undefined) === wanted;
  }

  /** What may have a NOT in front. */
  #negatable(operand: Operand, negated: boolean): Condition | undefined {
    if (this.#skip('BETWEEN')) return this.#between(operand, negated);
    if (this.#skip('IN')) return this.#in(operand);
    const textTest = TEXT_TESTS[this.#token.value];
    if (this.#token.kind !== 'keyword' || !textTest) return undefined;
    this.#position++;
    const part = this.#text();
    return (properties) => {
      const value = operand.value(properties);
      return typeof value === 'string' ? textTest(value, part) : undefined;
    };
  }

  #between(operand: Operand, negated: boolean): Condition {
    const low = this.#numeric();
    this.#expect('AND');
    const high = this.#numeric();
    const isEmpty =
      low.isConstant && high.isConstant && compare(low.value({}), high.value({}), (order) => order > 0);
    if (isEmpty && !negated) throw this.#error();
    return (properties) => {
      const value = operand.value(properties);
      return and(
        compare(value, low.value(properties), (order) => order >= 0),
        compare(value, high.value(properties), (order) => order <= 0),
      );
    };
  }

  #in(operand: Operand): Condition {
    this.#expect('(');
    const texts = [this.#text()];
    while (this.#skip(',')) texts.push(this.#text());
    this.#expect(')');
    return (properties) => {
      const value = operand.value(properties);
      return value === undefined ? undefined : texts.includes(String(value));
    };
  }

  /** Anything but a text: those have no order. */
  #numeric(): Operand {
    const { kind } = this.#token;
    if (kind === 'text') throw this.#error();
    return this.#operand();
  }

  #operand(): Operand {
    const negative = this.#skip('-');
    const { kind, value } = this.#token;
    if (kind === 'number') return constant(this.#number(negative ? '-' : ''));
    const isConstant = kind === 'text' || (kind === 'keyword' && (value === 'TRUE' || value === 'FALSE'));
    if (negative || (!isConstant && kind !== 'name')) throw this.#error();
    this.#position++;
    if (kind === 'name') return { isConstant: false, value: (properties) => properties[value] };
    return constant(kind === 'text' ? value : value === 'TRUE');
  }

  #number(sign: '' | '-'): bigint | number {
    const text = sign + this.#token.value.replace(/[lL]$/, '');
    const number = /^-?\d+$/.test(text) ? toLong(text) : Number(text);
    if (number === undefined) throw this.#error();
    this.#position++;
    return number;
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

function constant(value: SqlValue): Operand {
  return { isConstant: true, value: () => value };
}

function isText(operand: Operand): boolean {
  return operand.isConstant && typeof operand.value({}) === 'string';
}
