/** Which topics the user wants no handler calls for at the moment; by name in the application. */
export class PauseSwitch {
  readonly #topics = new Set<string>();
  #all = false;

  pause(topic?: string): void {
    if (topic === undefined) this.#all = true;
    else this.#topics.add(topic);
  }

  /** Without a topic: everything, including topics that were paused one by one. */
  resume(topic?: string): void {
    if (topic === undefined) {
      this.#all = false;
      this.#topics.clear();
    } else {
      this.#topics.delete(topic);
    }
  }

  isPaused(topic: string): boolean {
    return this.#all || (this.#topics.size > 0 && this.#topics.has(topic));
  }
}
