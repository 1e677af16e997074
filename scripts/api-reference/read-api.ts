import { readFileSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';
import * as ts from 'typescript';
import { docCommentOf, oneLine, type DocComment } from './doc-comment.js';

/** A subpath of the package. */
export interface ApiEntry {
  /** What one imports: `nestjs-rocketmq/testing`. */
  readonly specifier: string;
  readonly symbols: readonly ApiSymbol[];
}

/** Something a user may import. */
export interface ApiSymbol {
  readonly name: string;
  readonly kind: 'class' | 'interface' | 'type' | 'function' | 'const';
  /** Where it is declared, from the root of the repository, with slashes. */
  readonly file: string;
  readonly doc: DocComment | undefined;
  /** As it is written, without bodies. */
  readonly declaration: string;
  /** Of classes and interfaces. */
  readonly members: readonly ApiMember[];
}

export interface ApiMember {
  readonly name: string;
  /** The type of a property, the signature of a method. */
  readonly type: string;
  readonly method: boolean;
  readonly doc: DocComment | undefined;
}

interface Subpath {
  readonly specifier: string;
  readonly source: string;
}

/** Reads every public name from the sources of the package's subpaths. */
export function readApi(root: string): ApiEntry[] {
  const subpaths = subpathsOf(root);
  const config = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path));
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root);
  const program = ts.createProgram(
    subpaths.map(({ source }) => join(root, source)),
    options,
  );
  const reader = new ApiReader(root, program.getTypeChecker());
  return subpaths.map(({ specifier, source }) => {
    const file = program.getSourceFile(join(root, source));
    if (file === undefined) throw new Error(`package.json exports ${specifier}, but there is no ${source}.`);
    return { specifier, symbols: reader.symbolsOf(file) };
  });
}

/** From package.json: `./dist/lib/index.d.ts` is made of `lib/index.ts`. */
function subpathsOf(root: string): Subpath[] {
  const { name, exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    readonly name: string;
    readonly exports: Readonly<Record<string, unknown>>;
  };
  return Object.entries(exports).flatMap(([subpath, target]) => {
    const types = (target as { readonly import?: { readonly types?: string } }).import?.types;
    if (types === undefined) return [];
    const source = types.replace(/^\.\/dist\//, '').replace(/\.d\.ts$/, '.ts');
    return [{ specifier: `${name}${subpath.slice(1)}`, source }];
  });
}

/** Parameter lists that are longer have a line for each. */
const WIDTH = 70;

class ApiReader {
  constructor(
    private readonly root: string,
    private readonly checker: ts.TypeChecker,
  ) {}

  symbolsOf(file: ts.SourceFile): ApiSymbol[] {
    const module = this.checker.getSymbolAtLocation(file);
    if (module === undefined) return [];
    return this.checker
      .getExportsOfModule(module)
      .map((symbol) => this.describe(symbol))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  private describe(exported: ts.Symbol): ApiSymbol {
    const symbol = exported.flags & ts.SymbolFlags.Alias ? this.checker.getAliasedSymbol(exported) : exported;
    const declarations = (symbol.declarations ?? []).filter((each) => kindOf(each) !== undefined);
    const signatures = declarations.filter((each) => !isImplementationOfOverloads(each, declarations));
    const main = signatures.find((each) => docCommentOf(documented(each)) !== undefined) ?? signatures[0];
    // A name may be a value and a type at once; the value tells what it is.
    const kind = kindOf(signatures.find((each) => kindOf(each) !== 'type') ?? signatures[0]);
    if (main === undefined || kind === undefined) {
      throw new Error(`"${exported.name}" is exported, but is nothing that can be described.`);
    }
    return {
      name: exported.name,
      kind,
      file: relative(this.root, resolve(main.getSourceFile().fileName)).replaceAll(sep, '/'),
      doc: docCommentOf(documented(main)),
      declaration: signatures.map((each) => this.declarationOf(each)).join('\n\n'),
      members: signatures.flatMap((each) => this.membersOf(each)),
    };
  }

  private declarationOf(node: ts.Declaration): string {
    const text = node.getSourceFile().text;
    if (ts.isClassDeclaration(node) || ts.isInterfaceDeclaration(node)) {
      const keyword = ts.isClassDeclaration(node) ? 'class' : 'interface';
      const heritage = (node.heritageClauses ?? []).map((clause) => ` ${oneLine(clause.getText())}`).join('');
      return `${keyword} ${node.name?.text ?? ''}${typeParameters(node)}${heritage}`;
    }
    if (ts.isFunctionDeclaration(node)) {
      return `function ${node.name?.text ?? ''}${this.signature(node)}`;
    }
    if (ts.isVariableDeclaration(node)) {
      return `const ${node.name.getText()}: ${node.type?.getText() ?? this.typeOf(node)}`;
    }
    return dedent(text.slice(node.getStart(), node.getEnd())).replace(/^export (?:declare )?/, '');
  }

  private membersOf(node: ts.Declaration): ApiMember[] {
    if (ts.isInterfaceDeclaration(node)) return this.properties(node.members);
    if (!ts.isClassDeclaration(node)) return [];
    return node.members.flatMap((member) => {
      if (isHidden(member)) return [];
      if (ts.isConstructorDeclaration(member)) return this.constructorMembers(member);
      if (member.name === undefined || ts.isPrivateIdentifier(member.name)) return [];
      // Of overloads, the signatures count.
      if (ts.isMethodDeclaration(member) && this.isImplementation(member)) return [];
      return this.member(member, `${isStatic(member) ? 'static ' : ''}${member.name.getText()}`);
    });
  }

  private constructorMembers(node: ts.ConstructorDeclaration): ApiMember[] {
    const properties = node.parameters
      .filter((parameter) => ts.isParameterPropertyDeclaration(parameter, node) && !isHidden(parameter))
      .flatMap((parameter) => this.member(parameter, parameter.name.getText()));
    const doc = docCommentOf(node);
    if (doc?.internal) return properties;
    return [{ name: 'constructor', type: this.signature(node), method: true, doc }, ...properties];
  }

  /** Objects written in place are shown member by member. */
  private properties(members: ts.NodeArray<ts.TypeElement>, prefix = ''): ApiMember[] {
    return members.flatMap((member) => {
      if (isHidden(member)) return [];
      const name = `${prefix}${member.name?.getText() ?? '[…]'}`;
      if (ts.isPropertySignature(member) && member.type !== undefined && ts.isTypeLiteralNode(member.type)) {
        return [...this.member(member, name, 'object'), ...this.properties(member.type.members, `${name}.`)];
      }
      return this.member(member, name);
    });
  }

  private member(node: ts.Declaration, name: string, type?: string): ApiMember[] {
    const method = ts.isMethodSignature(node) || ts.isMethodDeclaration(node);
    const optional = (node as { readonly questionToken?: unknown }).questionToken === undefined ? '' : '?';
    return [
      {
        name: `${name}${optional}`,
        type: type ?? (method ? this.signature(node) : this.typeOf(node)),
        method,
        doc: docCommentOf(node) ?? this.inheritedDoc(node),
      },
    ];
  }

  /** Of the interface a class implements. */
  private inheritedDoc(node: ts.Declaration): DocComment | undefined {
    const symbol = this.checker.getSymbolAtLocation(ts.getNameOfDeclaration(node) ?? node);
    const text = ts.displayPartsToString(symbol?.getDocumentationComment(this.checker));
    if (text === '') return undefined;
    return { text, defaultValue: undefined, throws: [], returns: undefined, params: [], internal: false };
  }

  private typeOf(node: ts.Declaration): string {
    const written = (node as { readonly type?: ts.TypeNode }).type;
    if (written !== undefined) return withoutComments(written.getText());
    const { NoTruncation, UseSingleQuotesForStringLiteralType } = ts.TypeFormatFlags;
    return this.checker.typeToString(
      this.checker.getTypeAtLocation(node),
      undefined,
      NoTruncation | UseSingleQuotesForStringLiteralType,
    );
  }

  private signature(node: ts.SignatureDeclaration): string {
    const parameters = node.parameters.map((parameter) => {
      const modifiers = ts.getCombinedModifierFlags(parameter);
      const text = withoutComments(parameter.getText());
      return modifiers === ts.ModifierFlags.None
        ? text
        : text.replace(/^(?:(?:public|private|protected|readonly|override) )+/, '');
    });
    const bare = parameters.map((parameter) => parameter.replace(/^(?:@\w+\([^)]*\) )+/, ''));
    const inOneLine = bare.join(', ');
    const list = inOneLine.length > WIDTH ? `\n  ${bare.join(',\n  ')},\n` : inOneLine;
    if (ts.isConstructorDeclaration(node)) return `(${list})`;
    const signature = this.checker.getSignatureFromDeclaration(node);
    const returned =
      node.type?.getText() ??
      (signature && this.checker.typeToString(this.checker.getReturnTypeOfSignature(signature)));
    return `${typeParameters(node)}(${list}): ${withoutComments(returned ?? 'unknown')}`;
  }

  private isImplementation(node: ts.MethodDeclaration): boolean {
    const overloads = (ts.isClassDeclaration(node.parent) ? node.parent.members : []).filter(
      (each) => ts.isMethodDeclaration(each) && each.name.getText() === node.name.getText(),
    );
    return overloads.length > 1 && node.body !== undefined;
  }
}

function kindOf(node: ts.Declaration | undefined): ApiSymbol['kind'] | undefined {
  if (node === undefined) return undefined;
  if (ts.isClassDeclaration(node)) return 'class';
  if (ts.isInterfaceDeclaration(node)) return 'interface';
  if (ts.isTypeAliasDeclaration(node)) return 'type';
  if (ts.isFunctionDeclaration(node)) return 'function';
  return ts.isVariableDeclaration(node) ? 'const' : undefined;
}

function isImplementationOfOverloads(node: ts.Declaration, all: readonly ts.Declaration[]): boolean {
  return (
    ts.isFunctionDeclaration(node) &&
    node.body !== undefined &&
    all.some((each) => ts.isFunctionDeclaration(each) && each.body === undefined)
  );
}

/** The comment of a variable belongs to its statement. */
function documented(node: ts.Declaration): ts.Node {
  return ts.isVariableDeclaration(node) ? node.parent.parent : node;
}

function isHidden(node: ts.Declaration): boolean {
  const flags = ts.getCombinedModifierFlags(node);
  if (flags & (ts.ModifierFlags.Private | ts.ModifierFlags.Protected)) return true;
  if (ts.isConstructorDeclaration(node)) return false;
  // Symbols as names are how the language calls an object, not what people call.
  const name = ts.getNameOfDeclaration(node);
  if (name !== undefined && ts.isComputedPropertyName(name)) return true;
  return docCommentOf(node)?.internal ?? false;
}

function isStatic(node: ts.Declaration): boolean {
  return (ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Static) !== 0;
}

function typeParameters(node: {
  readonly typeParameters?: ts.NodeArray<ts.TypeParameterDeclaration>;
}): string {
  if (node.typeParameters === undefined) return '';
  return `<${node.typeParameters.map((each) => oneLine(each.getText())).join(', ')}>`;
}

function withoutComments(text: string): string {
  return oneLine(text.replaceAll(/\/\*[^]*?\*\//g, ' ').replaceAll(/(?<=^|\s)\/\/.*$/gm, ' '))
    .replace(/^\| /, '')
    .replaceAll(/,(?= [)\]}>])/g, '');
}

function dedent(text: string): string {
  return text.replaceAll('\r\n', '\n');
}
