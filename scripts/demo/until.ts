import { shutdownSignal } from '../stack/shutdown.js';

/** Asks again and again until there is an answer. @throws Error that names what did not happen in time */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false>,
  timeoutMs = 30_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    shutdownSignal().throwIfAborted();
    if (performance.now() > deadline) throw new Error(`Waited ${timeoutMs / 1000} s in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
