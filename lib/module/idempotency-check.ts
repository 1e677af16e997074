import type { IdempotentOptions } from '../idempotency/idempotency-options.js';
import { IDEMPOTENT_METADATA } from '../idempotency/idempotency.tokens.js';
import type { HandlerTarget, ListenerDefinition } from '../listener/listener-definition.js';

/** `@Tx` and `@Idempotent` against each other and against the module's options, one line per problem. */
export function idempotencyProblems(definitions: readonly ListenerDefinition[], isOn: boolean): string[] {
  return definitions.flatMap((definition) =>
    definition.handlers.flatMap((handler) => handlerProblems(definition, handler, isOn)),
  );
}

function handlerProblems({ id, batch }: ListenerDefinition, handler: HandlerTarget, isOn: boolean): string[] {
  const options = idempotentOptions(handler);
  const where = `Listener ${id} (${handler.method})`;
  if (options === undefined) {
    if (!handler.usesTransaction) return [];
    return [
      `${where} asks for @Tx(), and nothing opens a transaction. Put @Idempotent() on the method or the class.`,
    ];
  }
  const problems: string[] = [];
  if (!isOn) {
    problems.push(
      `${where} is @Idempotent(), and the feature is off. Set \`idempotency: true\` in RocketMQModule.forRoot and run its migrations.`,
    );
  }
  if (options.mode === 'lease' && handler.usesTransaction) {
    problems.push(
      `${where} asks for @Tx(), but @Idempotent({ mode: 'lease' }) opens no transaction. Use mode 'transaction', or leave @Tx() out.`,
    );
  }
  if (options.mode === 'lease' && batch) {
    problems.push(
      `${where} is a batch listener with @Idempotent({ mode: 'lease' }), which is for one message. Use mode 'transaction' or @RocketMQListener.`,
    );
  }
  return problems;
}

function idempotentOptions({ prototype, method }: HandlerTarget): IdempotentOptions | undefined {
  const callback = (prototype as Record<string, object>)[method] as object;
  return (Reflect.getMetadata(IDEMPOTENT_METADATA, callback) ??
    Reflect.getMetadata(IDEMPOTENT_METADATA, prototype.constructor)) as IdempotentOptions | undefined;
}
