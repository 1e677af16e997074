import { describe, expect, it } from 'vitest';
import { compileSql92 } from '../../../lib/client/memory/filter/sql92-parser.js';

describe('SQL92 filters of the in-process broker', () => {
  const properties = { a: '5', b: '5.5', name: "O'Neil", flag: 'true', text: 'hello world', negative: '-3' };

  it.each([
    ['a = 5', true],
    ["a = '5'", true],
    ['a = 5.0', true],
    ['a <> 5', false],
    ['b > a', true],
    ['b >= 5.5', true],
    ['negative < -2', true],
    ['negative = -3', true],
    ['a = 5e0', true],
    ["name = 'O''Neil'", true],
    ['flag = TRUE', true],
    ['flag = false', false],
    ['flag <> FALSE', true],
    ['TRUE', true],
    ['NOT TRUE', false],
    ['a BETWEEN 1 AND 5', true],
    ['a not between 1 and 5', false],
    ["name IN ('x', 'O''Neil')", true],
    ["name NOT IN ('x')", true],
    ["text CONTAINS 'lo w'", true],
    ["text NOT CONTAINS 'xyz'", true],
    ["text STARTSWITH 'hello' AND text ENDSWITH 'world'", true],
    ['a = 1 OR a = 5 AND negative = 0', false],
    ['(a = 5 OR a = 1) AND b = 5.5', true],
    ['NOT (a = 1 OR negative = 1)', true],
    ['a = 5 AND NOT negative = 1', true],
    ['a IS NULL', false],
    ['a IS NOT NULL', true],
    ['missing IS NULL', true],
    ['missing = other', true],
    ['a = 5L', true],
    ['5 = a', true],
  ] as const)('%s is %s', (expression, expected) => {
    expect(compileSql92(expression)(properties)).toBe(expected);
  });

  it.each([
    'missing = 5',
    'missing <> 5',
    'NOT missing = 5',
    'missing > 5',
    'name > 5',
    "missing IN ('a')",
    "missing NOT IN ('a')",
    "missing CONTAINS 'a'",
    'missing BETWEEN 1 AND 2',
    'missing = 5 AND a = 5',
    'missing = 5 OR a = 1',
    'b = 5',
    'b > 5',
    'NOT b = 1',
    'name > a',
  ])('%s is neither true nor false: a property that is not there, or is no number', (expression) => {
    expect(compileSql92(expression)(properties)).toBeUndefined();
  });

  it('knows that unknown does not always spoil the whole', () => {
    expect(compileSql92('missing = 5 OR a = 5')(properties)).toBe(true);
    expect(compileSql92('missing = 5 AND a = 1')(properties)).toBe(false);
  });

  it.each([
    '',
    'a',
    'a =',
    'a = 5 b',
    '(a = 5',
    'a = 5)',
    "a = 'open",
    'a IN ()',
    'a BETWEEN 1',
    'a IS 5',
    'a NOT = 5',
    'a ! 5',
    '5 +',
    "a > '4'",
    "'4' < a",
    'a BETWEEN 5 AND 1',
    'a = 12345678901234567890',
    "a LIKE '5%'",
    'a CONTAINS 5',
    'AND a = 5',
  ])('refuses "%s"', (expression) => {
    expect(() => compileSql92(expression)).toThrow(
      expect.objectContaining({ code: 'BROKER_REJECTED', responseCode: 23 }),
    );
  });
});
