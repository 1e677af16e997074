/** What happened, in order, told by the fakes: the code under test cannot write here. */
export class History {
  readonly #lines: { readonly at: number; readonly who: string; readonly what: string }[] = [];

  constructor(private readonly now: () => number) {}

  add(who: string, what: string): void {
    this.#lines.push({ at: this.now(), who, what });
  }

  text(): string {
    return this.#lines
      .map(({ at, who, what }) => `${at.toFixed(0).padStart(8)}  ${who.padEnd(8)}  ${what}`)
      .join('\n');
  }
}
