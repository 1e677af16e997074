/** The local stack cannot do what was asked. The message ends with what to do next. */
export class StackError extends Error {
  override readonly name = 'StackError';
}

/** Something must be installed first. */
export class MissingToolError extends StackError {}
