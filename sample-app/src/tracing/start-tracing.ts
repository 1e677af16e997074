/**
 * Starts OpenTelemetry's SDK when the environment names an exporter: `OTEL_TRACES_EXPORTER=console` writes spans to
 * standard output. Without one only the API is there, and does nothing.
 *
 * For a collector, leave this to OpenTelemetry itself, before the application starts:
 * `node --import @opentelemetry/auto-instrumentations-node/register dist/sample-app/src/main.js`. The library's spans go
 * wherever the provider of the process sends them.
 */
export async function startTracing(exporter: string | undefined): Promise<void> {
  if (exporter !== 'console') return;
  const { ConsoleSpanExporter, NodeTracerProvider, SimpleSpanProcessor } =
    await import('@opentelemetry/sdk-trace-node');
  const console = new SimpleSpanProcessor(new ConsoleSpanExporter());
  new NodeTracerProvider({ spanProcessors: [console] }).register();
}
