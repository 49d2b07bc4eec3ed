/**
 * Canonical JSON as RFC 8785 defines it: equal values have equal texts, so their digests can be compared.
 */

/** A value that JSON cannot express without changing it. */
export class NotJson extends TypeError {
  override readonly name = 'NotJson';
}

/** Deeper values are refused, before they exhaust the stack. The server refuses more than 32 levels. */
const MAX_DEPTH = 64;

/**
 * The canonical text of a value. A member that is `undefined` counts as absent, as in `JSON.stringify`.
 *
 * @throws NotJson for anything that does not survive JSON: numbers that are not finite, lone surrogates, functions,
 * class instances, cycles. What is decided would not be what runs.
 */
export function canonical(value: unknown): string {
  return write(value, 0);
}

function write(value: unknown, depth: number): string {
  switch (typeof value) {
    case 'string':
      return text(value);
    case 'number':
      if (!Number.isFinite(value)) throw new NotJson('a number is not finite');
      // ECMAScript's own form of a number is the one that RFC 8785 prescribes; it writes -0 as 0.
      return String(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      if (value === null) return 'null';
      if (depth === MAX_DEPTH) throw new NotJson(`values are nested more than ${MAX_DEPTH} deep`);
      return Array.isArray(value) ? list(value, depth + 1) : record(value, depth + 1);
    default:
      throw new NotJson(`a ${typeof value} cannot be written as JSON`);
  }
}

function text(value: string): string {
  if (!value.isWellFormed()) throw new NotJson('a text has a lone surrogate');
  return JSON.stringify(value);
}

function list(values: readonly unknown[], depth: number): string {
  let out = '[';
  // By index: `map` would skip the holes of a sparse array.
  for (let index = 0; index < values.length; index += 1) {
    if (index > 0) out += ',';
    out += write(values[index], depth);
  }
  return `${out}]`;
}

function record(value: object, depth: number): string {
  const prototype = Object.getPrototypeOf(value);
  if (
    prototype !== Object.prototype &&
    prototype !== null &&
    Object.getPrototypeOf(prototype) !== null
  ) {
    throw new NotJson(`an object of the class ${prototype.constructor?.name} is not plain`);
  }
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function') {
    throw new NotJson('an object with a method `toJSON` is not plain');
  }
  const members = value as Record<string, unknown>;
  let out = '{';
  // The default order of `sort` is by UTF-16 code units, which is that of RFC 8785.
  for (const name of Object.keys(members).sort()) {
    const member = members[name];
    if (member === undefined) continue;
    if (out.length > 1) out += ',';
    out += `${text(name)}:${write(member, depth)}`;
  }
  return `${out}}`;
}
