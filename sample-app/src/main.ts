import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { serveApiDocument } from './api-document.js';
import { AppModule } from './app.module.js';
import { AppConfig } from './config/app-config.js';
import { startTracing } from './tracing/start-tracing.js';

await startTracing(process.env['OTEL_TRACES_EXPORTER']);
const app = await NestFactory.create(AppModule, { logger: ['log', 'warn', 'error', 'fatal'] });
serveApiDocument(app);

// On SIGTERM and SIGINT: take no new messages, finish the ones at hand, then close broker and database connections.
app.enableShutdownHooks();

await app.listen(app.get(AppConfig).port);
