import { canonical, NotJson } from '@sentinel-mcp/client';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as node from '../../packages/client/src/platform/node.js';
import { sha256 } from '../../packages/client/src/platform/sha256.js';

/** Any JSON value that RFC 8785 can express. */
const json = fc.jsonValue({ maxDepth: 5, noUnicodeString: false }).filter(isWellFormed);

function isWellFormed(value: unknown): boolean {
  return JSON.stringify(value).isWellFormed() && !/\\ud[89a-f]/i.test(JSON.stringify(value));
}

/** The same value with the members of objects in another order. */
function shuffled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shuffled);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, member]) => [name, shuffled(member)]),
  );
}

describe('canonical JSON', () => {
  test('the examples of RFC 8785', () => {
    const value = {
      numbers: [Number('333333333.33333329'), 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
      string: '\u20ac$\u000F\u000aA\'\u0042\u0022\u005c\\"/',
      literals: [null, true, false],
    };
    expect(canonical(value)).toBe(
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],' +
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
    const names = ['\u20ac', '\r', '\ufb33', '1', '\u{1f600}', '\u0080', '\u00f6'];
    const sorted = canonical(Object.fromEntries(names.map((name) => [name, 0])));
    expect(Object.keys(JSON.parse(sorted) as object)).toHaveLength(7);
    expect(sorted).toBe(
      '{"\\r":0,"1":0,"\u0080":0,"\u00f6":0,"\u20ac":0,"\u{1f600}":0,"\ufb33":0}',
    );
  });

  test('numbers are written as ECMAScript writes them', () => {
    expect(canonical([-0, 1e21, 1e-7, 2 ** 53, 5e-324, 1.7976931348623157e308])).toBe(
      '[0,1e+21,1e-7,9007199254740992,5e-324,1.7976931348623157e+308]',
    );
  });

  test('a text reads back as the value', () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(JSON.parse(canonical(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  test('the order of members does not matter, and writing again changes nothing', () => {
    fc.assert(
      fc.property(json, (value) => {
        const text = canonical(value);
        expect(canonical(shuffled(value))).toBe(text);
        expect(canonical(JSON.parse(text))).toBe(text);
      }),
    );
  });

  test('different values have different texts', () => {
    fc.assert(
      fc.property(json, json, (one, other) => {
        const equal = JSON.stringify(shuffledFully(one)) === JSON.stringify(shuffledFully(other));
        expect(canonical(one) === canonical(other)).toBe(equal);
      }),
    );
  });

  test('a member that is undefined is absent', () => {
    expect(canonical({ b: undefined, a: 1 })).toBe('{"a":1}');
  });

  const values: [string, unknown][] = [
    ['a number that is not finite', [Number.POSITIVE_INFINITY]],
    ['half of a surrogate pair', { a: '\ud83d' }],
    ['a key with half of a surrogate pair', { '\ude00': 1 }],
    ['a bigint', 1n],
    ['undefined in a list', [undefined]],
    ['a hole in a list', new Array(1)],
    ['a function', { a() {} }],
    ['a date', new Date()],
    ['a map', new Map()],
    ['an object that says what it is', { toJSON: () => 1 }],
    ['a symbol', Symbol('a')],
  ];
  test.each(values)('%s is refused', (_, value) => {
    expect(() => canonical(value)).toThrow(NotJson);
  });

  test('what is nested too deeply is refused, cycles included', () => {
    const cycle: unknown[] = [];
    cycle.push(cycle);
    expect(() => canonical(cycle)).toThrow(NotJson);
    const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)]);
    expect(canonical(nested(64))).toContain('1');
    expect(() => canonical(nested(65))).toThrow(NotJson);
  });
});

/** Sorted by another way than the one under test. */
function shuffledFully(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shuffledFully);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([name, member]) => [name, shuffledFully(member)]);
  return { members: entries.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)) };
}

test('the SHA-256 for browsers is that of Node', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.string({ unit: 'grapheme' }),
      (bytes, text) => {
        expect(sha256(bytes, text)).toBe(node.sha256(bytes, text));
      },
    ),
  );
});
