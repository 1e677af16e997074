import * as ts from 'typescript';

/** What a TSDoc comment says, taken apart. */
export interface DocComment {
  /** Markdown; without tags. */
  readonly text: string;
  readonly defaultValue: string | undefined;
  readonly throws: readonly string[];
  readonly returns: string | undefined;
  readonly params: readonly { readonly name: string; readonly text: string }[];
  readonly internal: boolean;
}

const TAG = /(?:^|\s)@(default|throws|param|returns|internal)\b[ \t]*/g;

/** Of a declaration; undefined when it has none. */
export function docCommentOf(node: ts.Node): DocComment | undefined {
  const comment = ts.getJSDocCommentsAndTags(node).findLast((each) => ts.isJSDoc(each));
  return comment === undefined ? undefined : parseDocComment(comment.getText());
}

/** Tags may stand anywhere, at the end of a sentence too: TypeScript's own parser wants them at the start of a line. */
export function parseDocComment(comment: string): DocComment {
  const plain = comment
    .replace(/^\/\*\*/, '')
    .replace(/\*\/$/, '')
    .split(/\r?\n/)
    .map((line) => line.replace(/^\s*\* ?/, '').trimEnd())
    .join('\n')
    .trim();
  const tags = [...plain.matchAll(TAG)];
  const parts = tags.map((tag, index) => ({
    name: tag[1] as string,
    text: oneLine(plain.slice(tag.index + tag[0].length, tags[index + 1]?.index)),
  }));
  const all = (name: string): string[] => parts.filter((part) => part.name === name).map((part) => part.text);
  return {
    text: plain.slice(0, tags[0]?.index).trim(),
    defaultValue: all('default')[0],
    throws: all('throws'),
    returns: all('returns')[0],
    params: all('param').map((text) => {
      const [name = '', ...rest] = text.split(' ');
      return { name, text: rest.join(' ').replace(/^- /, '') };
    }),
    internal: all('internal').length > 0,
  };
}

export function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}
