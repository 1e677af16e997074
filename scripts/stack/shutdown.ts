type Work = () => Promise<unknown>;

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

const pending: Work[] = [];
let installed = false;
let signalled: AbortController | undefined;

/** Aborted when a signal arrives: pass it to whatever waits, so that it stops waiting. */
export function shutdownSignal(): AbortSignal {
  install();
  return (signalled ??= new AbortController()).signal;
}

/**
 * Registers work for Ctrl-C and friends: run once, the latest first, then the process exits as one that was
 * interrupted. A second Ctrl-C does not wait: what was started hangs on a pipe and ends with this process.
 * @returns a function that takes the work off the list.
 */
export function onShutdown(work: Work): () => void {
  install();
  pending.push(work);
  return () => {
    const index = pending.indexOf(work);
    if (index >= 0) pending.splice(index, 1);
  };
}

function install(): void {
  if (installed) return;
  installed = true;
  let running = false;
  for (const [signal, code] of Object.entries(SIGNALS)) {
    process.on(signal, () => {
      if (running) process.exit(code);
      running = true;
      console.error(`\n${signal}: stopping what was started (again to leave at once)`);
      void runAll().finally(() => process.exit(code));
    });
  }
}

async function runAll(): Promise<void> {
  signalled?.abort(new Error('interrupted'));
  while (pending.length > 0) {
    const work = pending.pop();
    try {
      await work?.();
    } catch (error) {
      console.error(error instanceof Error ? error.message : error);
    }
  }
}
