import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { projectFolder } from '../stack/folders.js';
import { DEFAULT_RELEASE, RELEASES } from '../stack/releases.js';

export const PROJECTS = ['unit', 'engine', 'integration', 'e2e'] as const;
export type Project = (typeof PROJECTS)[number];

/** One run of one vitest project. */
export interface Suite {
  readonly project: Project;
  /** The RocketMQ it needs, by release. */
  readonly release?: string;
  readonly postgres: boolean;
  /** Its database specs run on MariaDB too, where there is one. */
  readonly mariadb: boolean;
  /** Specs to run, relative to the project. */
  readonly specs: readonly string[];
  /** A hang must not last for ever. */
  readonly limitMinutes: number;
}

const LIMIT_MINUTES: Readonly<Record<Project, number>> = { unit: 10, engine: 20, integration: 20, e2e: 25 };

export function suiteLabel(suite: Suite): string {
  const needs = [
    suite.release && `RocketMQ ${suite.release}`,
    suite.postgres && 'PostgreSQL',
    suite.mariadb && 'MariaDB',
  ].filter(Boolean);
  return needs.length > 0 ? `${suite.project} (${needs.join(', ')})` : suite.project;
}

/** Paths of the specs of a project, relative to the root of the repository. */
export function findSpecs(project: Project, root: string = projectFolder): string[] {
  try {
    return readdirSync(join(root, 'test', project), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.spec.ts'))
      .map((path) => `test/${project}/${path}`)
      .sort();
  } catch {
    return [];
  }
}

export interface SuiteSelection {
  /** @default every project */
  readonly projects?: readonly Project[];
  /** Parts of paths; a spec runs when one of them is in its path. @default every spec */
  readonly filters?: readonly string[];
  /** The cluster ROCKETMQ_NAME_SERVER names: its release is what it is. */
  readonly givenCluster?: { readonly release?: string | undefined };
  readonly findSpecs?: (project: Project) => readonly string[];
}

/**
 * The suites to run, in order: what needs least first, what needs the same broker together. The engine is proved on
 * every release, the rest on the default.
 */
export function selectSuites(selection: SuiteSelection = {}): Suite[] {
  const find = selection.findSpecs ?? findSpecs;
  const main = selection.givenCluster?.release ?? DEFAULT_RELEASE;
  const others = selection.givenCluster
    ? []
    : RELEASES.map((release) => release.version).filter((it) => it !== main);
  const suite = (project: Project, release?: string): Suite => ({
    project,
    ...(release === undefined ? {} : { release }),
    postgres: project === 'integration' || project === 'e2e',
    mariadb: project === 'integration',
    specs: find(project).filter((path) => selection.filters?.some((filter) => path.includes(filter)) ?? true),
    limitMinutes: LIMIT_MINUTES[project],
  });
  const all = [
    suite('unit'),
    suite('engine', main),
    suite('integration', main),
    suite('e2e', main),
    ...others.map((release) => suite('engine', release)),
  ];
  return all.filter(
    ({ project, specs }) => specs.length > 0 && (selection.projects?.includes(project) ?? true),
  );
}
