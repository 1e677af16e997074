import type { PipeTransform, Type } from '@nestjs/common';
import type { MessageHeaders as Headers } from '../message/message.js';
import { RocketMQError } from '../message/rocketmq-error.js';
import { ParameterKind, PARAMETERS_METADATA, type ParameterEntry } from './listener-metadata.js';
import { isStandardSchema, type StandardSchema } from './standard-schema.js';
import { StandardSchemaPipe } from './standard-schema.pipe.js';

/** A pipe as `@Payload` and its like take it: an instance, or a class that Nest makes. */
export type ParameterPipe = Type<PipeTransform> | PipeTransform;

/** How to validate a payload. */
export interface PayloadOptions {
  /** A Standard Schema (zod, valibot, arktype, …). Batch listeners: of one item; invalid items are settled alone. */
  readonly schema?: StandardSchema;
  readonly pipes?: readonly ParameterPipe[];
}

/**
 * The payload: what the serializer read from the body. Batch listeners get an array.
 *
 * Pipes run after the global, class and method ones, as in controllers: `@Payload(ParseJobPipe)`,
 * `@Payload({ schema: z.object(…) })`; a class-validator DTO needs a `ValidationPipe` and nothing here.
 */
export function Payload(...pipes: (ParameterPipe | PayloadOptions)[]): ParameterDecorator {
  const all: ParameterPipe[] = [];
  let schemaPipe: StandardSchemaPipe | undefined;
  for (const pipe of pipes) {
    if (isPipe(pipe)) {
      all.push(pipe);
      continue;
    }
    if (pipe.schema !== undefined) {
      if (!isStandardSchema(pipe.schema)) {
        throw new RocketMQError(
          'INVALID_CONFIGURATION',
          '@Payload({ schema }) got something that is no Standard Schema. Use zod 3.24+, valibot 1+ or another library of standardschema.dev.',
        );
      }
      schemaPipe = new StandardSchemaPipe(pipe.schema);
      all.push(schemaPipe);
    }
    all.push(...(pipe.pipes ?? []));
  }
  return parameter(ParameterKind.payload, undefined, all, schemaPipe);
}

/** The {@link RocketMQContext} of this delivery. */
export function Ctx(): ParameterDecorator {
  return parameter(ParameterKind.context);
}

/** User properties of a message. The decorator of the same name injects them. */
export type MessageHeaders = Headers;

/** All user properties, or the one named. Batch listeners: of each message. */
export function MessageHeaders(name?: string, ...pipes: ParameterPipe[]): ParameterDecorator {
  return parameter(ParameterKind.headers, name, pipes);
}

/** The first business key; undefined when the message has none. Batch listeners: of each message. */
export function MessageKey(...pipes: ParameterPipe[]): ParameterDecorator {
  return parameter(ParameterKind.key, undefined, pipes);
}

/** The message as it arrived, body in bytes. Batch listeners: all of them. */
export function RawMessage(): ParameterDecorator {
  return parameter(ParameterKind.message);
}

/** The `EntityManager` of the handler's transaction. The listener needs `@Idempotent()`, which opens it. */
export function Tx(): ParameterDecorator {
  return parameter(ParameterKind.transaction);
}

function isPipe(value: ParameterPipe | PayloadOptions): value is ParameterPipe {
  return typeof value === 'function' || typeof (value as Partial<PipeTransform>).transform === 'function';
}

function parameter(
  kind: number,
  data?: unknown,
  pipes: readonly unknown[] = [],
  schemaPipe?: StandardSchemaPipe,
): ParameterDecorator {
  return (target, key, index) => {
    if (key === undefined) return;
    const host = target.constructor;
    const known = (Reflect.getMetadata(PARAMETERS_METADATA, host, key) ?? {}) as Record<
      string,
      ParameterEntry
    >;
    // An overriding method inherits its parent's entries; the decorator here replaces the one at this index.
    const others = Object.entries(known).filter(([, entry]) => entry.index !== index);
    const entry: ParameterEntry = {
      index,
      data,
      pipes,
      ...(schemaPipe === undefined ? {} : { schemaPipe }),
    };
    Reflect.defineMetadata(
      PARAMETERS_METADATA,
      { ...Object.fromEntries(others), [`${kind}:${index}`]: entry },
      host,
      key,
    );
  };
}
