import type { Figure } from './measure.js';

/** A line of a table: what was measured, our figure, and the peers' with the ratio ours / theirs. */
export interface Row {
  readonly what: string;
  readonly figures: readonly Figure[];
  /** Ratios of DESIGN's targets: ours to the named peer. */
  readonly targets?: Readonly<Record<string, number>>;
}

export interface Area {
  readonly title: string;
  readonly unit: string;
  readonly rows: readonly Row[];
  readonly notes?: readonly string[];
}

export const OURS = 'nestjs-rocketmq';

export function renderArea(area: Area): string {
  const lines = [`\n## ${area.title} (${area.unit}; median of rounds, [low-high])`];
  for (const row of area.rows) {
    const ours = row.figures.find((figure) => figure.name === OURS);
    lines.push(`\n${row.what}`);
    for (const figure of row.figures) {
      const cpu = figure.cpuMicros === undefined ? '' : `  ${figure.cpuMicros.toFixed(1)} us CPU each`;
      lines.push(
        `  ${figure.name.padEnd(28)} ${number(figure.median).padStart(10)}  [${number(figure.low)}-${number(figure.high)}]${cpu}${ratio(ours, figure, row.targets?.[figure.name])}`,
      );
    }
  }
  for (const note of area.notes ?? []) lines.push(`  ${note}`);
  return lines.join('\n');
}

function ratio(ours: Figure | undefined, peer: Figure, target: number | undefined): string {
  if (ours === undefined || peer === ours || peer.median === 0) return '';
  const value = ours.median / peer.median;
  const verdict =
    target === undefined ? '' : value >= target ? `, target ${target} met` : `, target ${target} MISSED`;
  return `  ours is ${value.toFixed(2)}x${verdict}`;
}

function number(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toFixed(2);
}
