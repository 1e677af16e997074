import type { FaultKind } from './fault.js';
import { PROCESS_FAULTS } from './processes.js';
import { SERVER_FAULTS } from './servers.js';
import { SESSION_FAULTS } from './sessions.js';
import { WIRE_FAULTS } from './wires.js';

/** Every kind of fault. */
export const FAULT_KINDS: readonly FaultKind[] = [
  ...PROCESS_FAULTS,
  ...SERVER_FAULTS,
  ...SESSION_FAULTS,
  ...WIRE_FAULTS,
];
