/**
 * Compiles every ```ts block of README.md and docs/: documentation that does not compile is a bug.
 *
 * A block may leave out its imports; names it uses are imported from the packages below. A block that begins with a
 * class member or a bare statement is put where it can stand.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import * as ts from 'typescript';

const WORK = '.rocketmq/docs-check';
const SOURCES = ['README.md', ...markdownIn('docs')];
const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');

function markdownIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name));
}

/** Name to module: what a reader would import. */
function importable(): Map<string, string> {
  const names = new Map<string, string>();
  const add = (module: string, list: readonly string[]): void =>
    list.forEach((name) => names.set(name, module));
  add('@nestjs/common', [
    'Body',
    'Controller',
    'Get',
    'Inject',
    'Injectable',
    'Logger',
    'Module',
    'Param',
    'Post',
    'UseGuards',
    'UseInterceptors',
    'UseFilters',
    'UsePipes',
    'ValidationPipe',
    'createParamDecorator',
    'ExecutionContext',
    'CanActivate',
    'NestInterceptor',
    'CallHandler',
  ]);
  add('@nestjs/core', ['NestFactory', 'APP_GUARD']);
  add('@nestjs/testing', ['Test']);
  add('@nestjs/typeorm', ['TypeOrmModule']);
  add('@nestjs/terminus', ['TerminusModule', 'HealthCheckService', 'HealthCheck']);
  add('typeorm', ['DataSource', 'EntityManager', 'MigrationInterface']);
  add('zod', ['z']);
  add('nestjs-rocketmq/migrations', exportsOf('migrations/index.ts'));
  add('nestjs-rocketmq/metrics', exportsOf('lib/metrics/index.ts'));
  add('nestjs-rocketmq/tracing', exportsOf('lib/tracing/index.ts'));
  add('prom-client', ['Registry']);
  add('../../docs/examples/domain.js', exportsOf('docs/examples/domain.ts'));
  add('nestjs-rocketmq', exportsOf('lib/index.ts'));
  return names;
}

function exportsOf(file: string): string[] {
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);
  return source.statements.flatMap((statement) => {
    if (
      ts.isExportDeclaration(statement) &&
      statement.exportClause &&
      ts.isNamedExports(statement.exportClause)
    ) {
      return statement.exportClause.elements.map((element) => element.name.text);
    }
    const exported =
      ts.canHaveModifiers(statement) &&
      ts.getModifiers(statement)?.some((modifier) => modifier.kind === ts.SyntaxKind.ExportKeyword);
    if (!exported) return [];
    if (ts.isVariableStatement(statement))
      return statement.declarationList.declarations.map((declaration) => declaration.name.getText(source));
    const { name } = statement as ts.DeclarationStatement;
    return name ? [name.getText(source)] : [];
  });
}

const NAMES = importable();

/** The block as a module: its missing imports in front, and in a class or function where it needs one. */
function asModule(code: string): string {
  const parsed = ts.createSourceFile('block.ts', code, ts.ScriptTarget.Latest, true);
  const own = new Set<string>();
  const used = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node)) used.add(node.text);
    if (
      (ts.isImportSpecifier(node) ||
        ts.isClassDeclaration(node) ||
        ts.isFunctionDeclaration(node) ||
        ts.isInterfaceDeclaration(node) ||
        ts.isVariableDeclaration(node)) &&
      node.name &&
      ts.isIdentifier(node.name)
    )
      own.add(node.name.text);
    ts.forEachChild(node, visit);
  };
  visit(parsed);
  const imports = [...used]
    .filter((name) => !own.has(name) && NAMES.has(name))
    .map((name) => `import { ${name} } from '${NAMES.get(name)}';`);
  const bare = !parsed.statements.some(
    (statement) =>
      ts.isClassDeclaration(statement) ||
      ts.isFunctionDeclaration(statement) ||
      ts.isImportDeclaration(statement),
  );
  const stands = [
    'template: RocketMQTemplate',
    'outbox: Outbox',
    'db: DataSource',
    'registry: RocketMQListenerRegistry',
    'parked: ParkedMessages',
    'events: RocketMQEvents',
    'client: RocketMQClient',
    'metrics: OutboxMetrics',
    'connections: RocketMQConnections',
  ];
  for (const stand of bare ? stands : []) {
    const name = stand.split(' ')[1] as string;
    const line = `import { ${name} } from '${NAMES.get(name) ?? 'nestjs-rocketmq'}';`;
    if (!imports.includes(line)) imports.push(line);
  }
  const body = bare
    ? `export async function example(${stands.join(', ')}): Promise<void> {\nvoid [${stands.map((stand) => stand.split(':')[0]).join(', ')}];\n${code}\n}`
    : code;
  return `import 'reflect-metadata';\n${imports.join('\n')}\n${body}\nexport {};\n`;
}

rmSync(WORK, { recursive: true, force: true });
mkdirSync(WORK, { recursive: true });
let blocks = 0;
for (const source of SOURCES) {
  const text = readFileSync(source, 'utf8');
  for (const match of text.matchAll(/^```ts\n([\s\S]*?)^```/gm)) {
    blocks++;
    const line = text.slice(0, match.index).split('\n').length;
    writeFileSync(
      join(WORK, `${source.replaceAll(/[/.]/g, '-')}-line-${line}.ts`),
      asModule(match[1] as string),
    );
  }
}
writeFileSync(
  join(WORK, 'tsconfig.json'),
  JSON.stringify({
    extends: '../../tsconfig.json',
    compilerOptions: {
      verbatimModuleSyntax: false,
      noUnusedLocals: false,
      noUnusedParameters: false,
      rootDir: '../..',
    },
    include: ['*.ts'],
    exclude: [],
  }),
);
const run = spawnSync(process.execPath, [tsc, '-p', join(WORK, 'tsconfig.json')], { encoding: 'utf8' });
console.log(run.stdout.trim() || `${blocks} code blocks of ${SOURCES.length} documents compile`);
process.exit(run.status ?? 1);
