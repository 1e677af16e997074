/** Says what happens, with the seconds since the start in front. */
export class Narrator {
  private readonly started = performance.now();

  readonly say = (line: string): void => {
    const seconds = ((performance.now() - this.started) / 1000).toFixed(1);
    console.log(`${seconds.padStart(6)} s  ${line}`);
  };

  /** A line without a time: part of a table, or empty. */
  readonly print = (line = ''): void => {
    console.log(line);
  };

  heading(text: string): void {
    console.log(`\n${text}\n${'-'.repeat(text.length)}`);
  }
}
