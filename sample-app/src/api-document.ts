import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';

/** Name of the key in `@ApiSecurity`. */
export const OPERATOR_KEY = 'operator-key';

/** Serves the description of the HTTP API: a page at `/docs`, OpenAPI at `/docs/json`. */
export function serveApiDocument(app: INestApplication): void {
  const document = new DocumentBuilder()
    .setTitle('Shop')
    .setDescription('Orders, inventory and payment as three services that talk only through messages.')
    .setVersion('1.0')
    .addApiKey({ type: 'apiKey', in: 'header', name: 'x-operator-key' }, OPERATOR_KEY)
    .build();
  SwaggerModule.setup('docs', app, () => SwaggerModule.createDocument(app, document), {
    jsonDocumentUrl: 'docs/json',
    yamlDocumentUrl: 'docs/yaml',
  });
}
