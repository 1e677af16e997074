const real = Date.now.bind(Date);

/** The clock of the machine, also in a process whose own clock is skewed: loaded before that happens. */
export function machineTime(): number {
  return real();
}
