/** Holds the map of rooms in CONTRIBUTING.md: imports point downwards only. */
const features = 'template|listener|transaction|outbox|idempotency|dead-letter|console';
module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      severity: 'error',
      from: { path: '^(lib|migrations|sample-app)/' },
      to: { circular: true, dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'message-is-the-floor',
      comment: 'message/ imports nothing else of lib',
      severity: 'error',
      from: { path: '^lib/message/' },
      to: { path: '^lib/', pathNot: '^lib/message/' },
    },
    {
      name: 'client-knows-messages-only',
      severity: 'error',
      from: { path: '^lib/client/' },
      to: { path: '^lib/', pathNot: '^lib/(message|client)/' },
    },
    {
      name: 'engines-are-separate',
      severity: 'error',
      from: { path: '^lib/client/(remoting|grpc|memory)/' },
      to: { path: '^lib/client/(remoting|grpc|memory)/', pathNot: '^lib/client/$1/' },
    },
    {
      name: 'port-does-not-know-engines',
      comment: 'only client-factory.ts may reach into an engine',
      severity: 'error',
      from: { path: '^lib/client/[^/]+\\.ts$', pathNot: '^lib/client/client-factory\\.ts$' },
      to: { path: '^lib/client/(remoting|grpc|memory)/' },
    },
    {
      name: 'consumer-does-not-know-engines',
      comment: 'one consumer for all engines: what differs is behind consumer-broker.ts',
      severity: 'error',
      from: { path: '^lib/client/(consumer|allocation)/' },
      to: { path: '^lib/client/(remoting|grpc|memory)/' },
    },
    {
      name: 'no-framework-below-features',
      comment: 'message/ and client/ are usable without Nest and TypeORM',
      severity: 'error',
      from: { path: '^lib/(message|client)/' },
      to: { path: '(@nestjs/|(^|node_modules/)typeorm|(^|node_modules/)rxjs|reflect-metadata)' },
    },
    {
      name: 'features-do-not-know-engines',
      severity: 'error',
      from: { path: `^lib/(${features}|observability|module)/` },
      to: { path: '^lib/client/(remoting|grpc|memory)/' },
    },
    {
      name: 'features-do-not-know-the-module',
      severity: 'error',
      from: { path: `^lib/(${features}|observability)/` },
      to: { path: '^lib/module/' },
    },
    {
      name: 'observability-is-below-features',
      severity: 'error',
      from: { path: '^lib/observability/' },
      to: { path: `^lib/(${features}|module)/` },
    },
    {
      name: 'exporters-stand-on-top',
      comment: 'metrics/ and tracing/ are subpaths of their own: prom-client and OpenTelemetry stay optional',
      severity: 'error',
      from: { path: '^lib/', pathNot: '^lib/(metrics|tracing)/' },
      to: { path: '(^lib/(metrics|tracing)/|(^|node_modules/)(prom-client|@opentelemetry)/)' },
    },
    {
      name: 'nobody-imports-the-index',
      severity: 'error',
      from: { path: '^lib/' },
      to: { path: '^lib/index\\.ts$' },
    },
    {
      name: 'sample-uses-the-public-api',
      severity: 'error',
      from: { path: '^sample-app/' },
      to: { path: '^lib/', pathNot: '^lib/(index|(metrics|tracing)/index)\\.ts$' },
    },
    {
      name: 'lib-does-not-import-tests',
      severity: 'error',
      from: { path: '^(lib|migrations)/' },
      to: { path: '^(test|scripts|bench|sample-app)/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
