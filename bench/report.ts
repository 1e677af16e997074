import type { Figure } from './measure.js';

/** A line of a table: what was measured, our figure and the peers'. */
export interface Row {
  readonly what: string;
  readonly figures: readonly Figure[];
  readonly targets?: readonly (Target | undefined)[];
}

/** A target of the design, with what was measured. */
export interface Target {
  readonly what: string;
  readonly value: number;
  readonly atLeast?: number;
  readonly atMost?: number;
}

export interface Area {
  readonly title: string;
  readonly unit: string;
  readonly rows: readonly Row[];
  readonly notes?: readonly string[];
}

export const OURS = 'nestjs-rocketmq';

/** How many times `name`'s figure `other`'s has to be; undefined when one of them is missing. */
export function ratioTarget(
  figures: readonly Figure[],
  name: string,
  other: string,
  bound: Pick<Target, 'atLeast' | 'atMost'>,
): Target | undefined {
  const value = medianOf(figures, name) / medianOf(figures, other);
  return Number.isNaN(value) ? undefined : { what: `${name} / ${other}`, value, ...bound };
}

/** How much more than `other`'s `name`'s figure may be. */
export function differenceTarget(
  figures: readonly Figure[],
  name: string,
  other: string,
  atMost: number,
): Target | undefined {
  const value = medianOf(figures, name) - medianOf(figures, other);
  return Number.isNaN(value) ? undefined : { what: `${name} - ${other}`, value, atMost };
}

export function medianOf(figures: readonly Figure[], name: string): number {
  return figures.find((figure) => figure.name === name)?.median ?? NaN;
}

/** A Markdown table that can be read in a terminal too. */
export function renderArea(area: Area): string {
  const table = [['', 'who', area.unit, 'low - high', 'CPU us each', 'ours / it']];
  for (const row of area.rows) {
    const ours = row.figures.find((figure) => figure.name === OURS);
    for (const [index, figure] of row.figures.entries()) {
      table.push([
        index === 0 ? row.what : '',
        figure.name,
        figure.missing ?? number(figure.median),
        figure.missing === undefined ? `${number(figure.low)} - ${number(figure.high)}` : '',
        figure.cpuMicros === undefined ? '' : figure.cpuMicros.toFixed(1),
        ours === undefined || ours === figure || Number.isNaN(figure.median) || figure.median === 0
          ? ''
          : `${(ours.median / figure.median).toFixed(2)}x`,
      ]);
    }
  }
  const lines = [`\n### ${area.title}\n`, ...aligned(table)];
  const targets = area.rows.flatMap(({ what, targets = [] }) =>
    targets.flatMap((target) => (target === undefined ? [] : [renderTarget(what, target)])),
  );
  if (targets.length > 0) lines.push('', ...targets);
  for (const note of area.notes ?? []) lines.push('', note);
  return lines.join('\n');
}

export function isMet({ value, atLeast = -Infinity, atMost = Infinity }: Target): boolean {
  return value >= atLeast && value <= atMost;
}

function renderTarget(row: string, target: Target): string {
  const { what, value, atLeast, atMost } = target;
  const bound = atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast}`;
  return `- ${row}: ${what} is ${number(value)}, target ${bound}: ${isMet(target) ? 'met' : '**missed**'}`;
}

function aligned(table: readonly (readonly string[])[]): string[] {
  const widths = (table[0] ?? []).map((_, column) =>
    Math.max(...table.map((row) => row[column]?.length ?? 0)),
  );
  const lines = table.map(
    (row) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`,
  );
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return [lines[0] ?? '', rule, ...lines.slice(1)];
}

function number(value: number): string {
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en-US') : value.toFixed(2);
}
