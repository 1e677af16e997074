import { CLIENT_LANGUAGE, CLIENT_VERSION } from './client-version.js';
import type { CommandHeader } from './frame-header.js';
import type { HeaderFields } from './remoting-command.js';

/** What must be escaped in a JSON text, lone halves of surrogate pairs included. */
/* oxlint-disable-next-line no-control-regex */
const NEEDS_ESCAPE = /["\\\u0000-\u001f\ud800-\udfff]/;

const NO_FIELDS: Readonly<Record<string, string>> = Object.freeze({});

const BEFORE_OPAQUE = `,"language":"${CLIENT_LANGUAGE.name}","version":${CLIENT_VERSION},"opaque":`;
const AFTER_FLAG = ',"serializeTypeCurrentRPC":"JSON"';

/**
 * A header in JSON. Put together by hand, which takes a fraction of `JSON.stringify` over objects.
 * (Java: `RemotingSerializable.encode`.)
 */
export function encodeJsonHeader(
  code: number,
  opaque: number,
  flag: number,
  remark: string | undefined,
  fields: HeaderFields | undefined,
): string {
  let text = `{"code":${code}${BEFORE_OPAQUE}${opaque},"flag":${flag}${AFTER_FLAG}`;
  if (remark !== undefined) text += `,"remark":${quote(remark)}`;
  if (fields !== undefined) {
    let separator = ',"extFields":{';
    for (const name in fields) {
      const value = fields[name];
      if (value === undefined) continue;
      // Names are identifiers of the protocol; values of other types than text never need an escape.
      text +=
        typeof value === 'string'
          ? `${separator}"${name}":${quote(value)}`
          : `${separator}"${name}":"${value}"`;
      separator = ',';
    }
    if (separator === ',') text += '}';
  }
  return text + '}';
}

function quote(text: string): string {
  return NEEDS_ESCAPE.test(text) ? JSON.stringify(text) : `"${text}"`;
}

/**
 * @throws SyntaxError or TypeError when it is not a header
 */
export function decodeJsonHeader(text: string): CommandHeader {
  const header = JSON.parse(text) as Readonly<Record<string, unknown>> | null;
  if (typeof header !== 'object' || header === null) throw new TypeError('the header is not an object');
  const { remark, extFields } = header;
  return {
    code: integer(header['code'], 'code'),
    opaque: integer(header['opaque'], 'opaque'),
    flag: integer(header['flag'] ?? 0, 'flag'),
    version: integer(header['version'] ?? 0, 'version'),
    remark: typeof remark === 'string' ? remark : undefined,
    fields: textFields(extFields),
  };
}

function integer(value: unknown, name: string): number {
  if (Number.isInteger(value)) return value as number;
  throw new TypeError(`the header has no usable "${name}"`);
}

/** Other types than text do not occur, except from hostile peers. */
function textFields(value: unknown): Readonly<Record<string, string>> {
  if (value === undefined || value === null) return NO_FIELDS;
  if (typeof value !== 'object') throw new TypeError('the header has unusable "extFields"');
  const fields = value as Record<string, unknown>;
  for (const name in fields) {
    const field = fields[name];
    if (typeof field === 'string') continue;
    if (field === null) delete fields[name];
    else if (typeof field === 'number' || typeof field === 'boolean') fields[name] = String(field);
    else throw new TypeError(`the header field "${name}" is not a text`);
  }
  return fields as Record<string, string>;
}
