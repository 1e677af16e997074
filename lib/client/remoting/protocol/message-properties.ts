/** Between a property's name and its value. (Java: `MessageDecoder.NAME_VALUE_SEPARATOR`.) */
const NAME_VALUE_SEPARATOR = '\u0001';
/** After every property. (Java: `MessageDecoder.PROPERTY_SEPARATOR`.) */
const PROPERTY_SEPARATOR = '\u0002';

/**
 * One text of all properties, as headers and stored messages carry it. Properties whose value is `undefined` are
 * left out. The caller has checked that nothing contains a separator; the sum of bytes is limited to 32,767.
 * (Java: `MessageDecoder.messageProperties2String`.)
 */
export function encodeProperties(properties: Readonly<Record<string, string | undefined>>): string {
  let text = '';
  for (const name in properties) {
    const value = properties[name];
    if (value !== undefined) text += name + NAME_VALUE_SEPARATOR + value + PROPERTY_SEPARATOR;
  }
  return text;
}

/**
 * The properties in a text. As Java does, it drops what has no name, no separator, or an empty value; the last
 * one may lack its final separator. (Java: `MessageDecoder.string2messageProperties`.)
 */
export function decodeProperties(text: string): Record<string, string> {
  const properties: Record<string, string> = {};
  const length = text.length;
  let start = 0;
  while (start < length) {
    let end = text.indexOf(PROPERTY_SEPARATOR, start);
    if (end < 0) end = length;
    const separator = text.indexOf(NAME_VALUE_SEPARATOR, start);
    if (separator < 0) break;
    if (separator > start && separator + 1 < end) {
      setProperty(properties, text.slice(start, separator), text.slice(separator + 1, end));
    }
    start = end + 1;
  }
  return properties;
}

/** Own properties only: a name like `__proto__` must not reach the prototype. */
function setProperty(properties: Record<string, string>, name: string, value: string): void {
  if (name === '__proto__') {
    Object.defineProperty(properties, name, { value, enumerable: true, configurable: true, writable: true });
  } else {
    properties[name] = value;
  }
}
