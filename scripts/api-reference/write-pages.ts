import type { DocComment } from './doc-comment.js';
import { oneLine } from './doc-comment.js';
import type { ApiEntry, ApiMember, ApiSymbol } from './read-api.js';

/** Pages of the main entry, by the folder a name comes from. */
const TITLES: Readonly<Record<string, string>> = {
  module: 'The module',
  template: 'Sending',
  listener: 'Listening',
  outbox: 'Outbox',
  transaction: 'Transactional messages',
  idempotency: 'Idempotent consumers',
  'dead-letter': 'Dead letters',
  database: 'Database',
  observability: 'Events and health',
  client: 'The client',
  message: 'Messages',
};

interface Page {
  /** File name without ending. */
  readonly name: string;
  readonly title: string;
  readonly specifier: string;
  readonly symbols: readonly ApiSymbol[];
}

const NOTE = '<!-- Written by `npm run docs:api` from the TSDoc in the sources. Change it there. -->';

/** File name to content of every page. */
export function writePages(entries: readonly ApiEntry[]): Map<string, string> {
  const pages = pagesOf(entries);
  const places = new Map(
    pages.flatMap(({ name, symbols }) => symbols.map((symbol) => [symbol.name, name] as const)),
  );
  const files = new Map(pages.map((page) => [`${page.name}.md`, new PageWriter(page, places).write()]));
  files.set('README.md', contents(pages, places));
  return files;
}

/** What several entries export has its place in the first. */
function pagesOf(entries: readonly ApiEntry[]): Page[] {
  const known = new Set<string>();
  return entries.flatMap(({ specifier, symbols }, index) => {
    const own = symbols.filter(({ name }) => !known.has(name));
    for (const { name } of own) known.add(name);
    if (index > 0) {
      const name = specifier.slice(specifier.indexOf('/') + 1).replaceAll('/', '-');
      return [{ name, title: `\`${specifier}\``, specifier, symbols: own }];
    }
    const rooms = new Set(own.map(roomOf));
    const order = [...Object.keys(TITLES), ...[...rooms].filter((room) => !(room in TITLES)).sort()];
    return order
      .filter((room) => rooms.has(room))
      .map((room) => ({
        name: room,
        title: TITLES[room] ?? room,
        specifier,
        symbols: own.filter((symbol) => roomOf(symbol) === room),
      }));
  });
}

function roomOf({ file }: ApiSymbol): string {
  return file.split('/')[1] ?? 'other';
}

function contents(pages: readonly Page[], places: ReadonlyMap<string, string>): string {
  const sections = pages.map(({ name, title, specifier, symbols }) => {
    const rows = symbols.map(
      (symbol) =>
        `| [\`${symbol.name}\`](${name}.md#${anchor(symbol.name)}) | ${symbol.kind} | ${cell(firstSentence(symbol.doc), places)} |`,
    );
    const from = title.includes(specifier) ? '' : `, from \`${specifier}\``;
    return `## [${title}](${name}.md)${from}\n\n| name | kind | |\n|---|---|---|\n${rows.join('\n')}`;
  });
  return [
    NOTE,
    '# API reference',
    'Every public name, with what its TSDoc says. How things are used together is in the [guides](../guides/).',
    ...sections,
    '',
  ]
    .join('\n\n')
    .replace(/\n+$/, '\n');
}

function firstSentence(doc: DocComment | undefined): string {
  const text = oneLine(doc?.text.split('\n\n')[0] ?? '');
  return /^.*?[.:](?= [A-Z`@]|$)/.exec(text)?.[0].replace(/:$/, '.') ?? text;
}

class PageWriter {
  constructor(
    private readonly page: Page,
    private readonly places: ReadonlyMap<string, string>,
  ) {}

  write(): string {
    const { title, specifier, symbols } = this.page;
    const from = title.includes(specifier) ? [] : [`From \`${specifier}\`.`];
    return `${[NOTE, `# ${title}`, ...from, ...symbols.map((symbol) => this.symbol(symbol))].join('\n\n')}\n`;
  }

  private symbol({ name, declaration, doc, members }: ApiSymbol): string {
    const parts = [`## ${name}`, `\`\`\`typescript\n${declaration}\n\`\`\``];
    if (doc !== undefined) parts.push(...this.text(doc));
    const properties = members.filter(({ method }) => !method);
    const methods = members.filter(({ method }) => method);
    if (properties.length > 0) parts.push(this.properties(properties));
    for (const method of methods) parts.push(this.method(method));
    return parts.join('\n\n');
  }

  private properties(members: readonly ApiMember[]): string {
    const rows = members.map(({ name, type, doc }) => {
      const throws = (doc?.throws ?? []).map((text) => `Throws ${text}`);
      const about = [doc?.text ?? '', ...throws].filter((text) => text !== '').join('\n\n');
      const usual = doc?.defaultValue === undefined ? '' : this.defaultValue(doc.defaultValue);
      return `| \`${code(name)}\` | \`${code(type)}\` | ${usual} | ${cell(about, this.places, this.page.name)} |`;
    });
    return `| property | type | default | |\n|---|---|---|---|\n${rows.join('\n')}`;
  }

  /** A value is code, a description is text. */
  private defaultValue(text: string): string {
    const isValue =
      /^(?:['"{[`\d-]|true$|false$|undefined$|[a-z]+[A-Z]\w*$)/.test(text) && !/\d [a-z]/.test(text);
    return isValue && !text.includes('`') ? `\`${code(text)}\`` : cell(text, this.places, this.page.name);
  }

  private method({ name, type, doc }: ApiMember): string {
    const bare = name.replace(/^static /, '');
    const prefix = bare === name ? '' : 'static ';
    const signature = bare === 'constructor' ? `new ${type}` : `${prefix}${bare}${type}`;
    return [
      `### ${bare.replace(/\?$/, '')}`,
      `\`\`\`typescript\n${signature}\n\`\`\``,
      ...(doc === undefined ? [] : this.text(doc)),
    ].join('\n\n');
  }

  private text({ text, params, returns, throws, defaultValue }: DocComment): string[] {
    const link = (part: string): string => linked(part, this.places, this.page.name);
    const list = [
      ...params.map((param) => `- \`${param.name}\`: ${link(param.text)}`),
      ...(returns === undefined ? [] : [`- Returns ${link(returns)}`]),
      ...throws.map((each) => `- Throws ${link(each)}`),
      ...(defaultValue === undefined ? [] : [`- Default: ${this.defaultValue(defaultValue)}`]),
    ];
    return [link(text), list.join('\n')].filter((part) => part !== '');
  }
}

/**
 * `{@link Name}` as a link, when the name has a place. Examples are not blocks of the guides, which are compiled as
 * they stand.
 */
function linked(text: string, places: ReadonlyMap<string, string>, page = ''): string {
  return text
    .replaceAll('```ts\n', '```typescript\n')
    .replaceAll(/\{@link ([\w.]+)(?:\s*\|?\s*([^}]*))?\}/g, (_match, target: string, label = '') => {
      const [name = ''] = target.split('.');
      const shown = label === '' ? `\`${target}\`` : label;
      const place = places.get(name);
      if (place === undefined) return shown;
      return `[${shown}](${place === page ? '' : `${place}.md`}#${anchor(name)})`;
    });
}

function cell(text: string, places: ReadonlyMap<string, string>, page = ''): string {
  return oneLine(
    linked(text, places, page)
      .replaceAll(/\n+(?=- )/g, '<br>')
      .replaceAll(/\n\n+/g, '<br>'),
  ).replaceAll('|', '\\|');
}

function code(text: string): string {
  return text.replaceAll('|', '\\|');
}

/** As GitHub makes it from a heading. */
function anchor(name: string): string {
  return name.toLowerCase();
}
