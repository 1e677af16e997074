import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import { AppConfig } from './config/app-config.js';

const app = await NestFactory.create(AppModule, { logger: ['log', 'warn', 'error', 'fatal'] });

// On SIGTERM and SIGINT: take no new messages, finish the ones at hand, then close broker and database connections.
app.enableShutdownHooks();

await app.listen(app.get(AppConfig).port);
