import { BadRequestException, type PipeTransform } from '@nestjs/common';
import { describeIssue, type StandardSchema, type StandardSchemaResult } from './standard-schema.js';

/** Validates, and gives the handler what the schema made of the payload. Works the same on Nest 11 and 12. */
export class StandardSchemaPipe implements PipeTransform {
  constructor(private readonly schema: StandardSchema) {}

  /** @throws BadRequestException with one line per issue */
  transform(value: unknown): unknown {
    const result = this.schema['~standard'].validate(value);
    return result instanceof Promise ? result.then(valueOf) : valueOf(result);
  }
}

function valueOf(result: StandardSchemaResult<unknown>): unknown {
  if (result.issues !== undefined) throw new BadRequestException(result.issues.map(describeIssue));
  return result.value;
}
