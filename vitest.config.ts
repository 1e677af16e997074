import { defineConfig } from 'vitest/config';

const alias = {
  'nestjs-rocketmq/testing': new URL('./lib/testing/index.ts', import.meta.url).pathname,
  'nestjs-rocketmq/metrics': new URL('./lib/metrics/index.ts', import.meta.url).pathname,
  'nestjs-rocketmq/tracing': new URL('./lib/tracing/index.ts', import.meta.url).pathname,
  'nestjs-rocketmq/migrations': new URL('./migrations/index.ts', import.meta.url).pathname,
  'nestjs-rocketmq': new URL('./lib/index.ts', import.meta.url).pathname,
};

/** One project per kind of proof; `scripts/test.ts` starts what each needs and runs them. */
export default defineConfig({
  test: {
    projects: [
      {
        resolve: { alias },
        test: { name: 'unit', include: ['test/unit/**/*.spec.ts'], isolate: false, testTimeout: 60_000 },
      },
      {
        resolve: { alias },
        test: {
          name: 'engine',
          include: ['test/engine/**/*.spec.ts'],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          pool: 'forks',
          fileParallelism: true,
          maxWorkers: 2,
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'integration',
          include: ['test/integration/**/*.spec.ts'],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          pool: 'forks',
          maxWorkers: 2,
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.spec.ts'],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          pool: 'forks',
          fileParallelism: false,
        },
      },
    ],
  },
});
