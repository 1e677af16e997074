/** What callers give as header fields; `undefined` is left out. On the wire every value is text. */
export type HeaderFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** A request on its way out. (Java: `RemotingCommand.createRequestCommand`.) */
export interface RemotingRequest {
  readonly code: number;
  readonly fields?: HeaderFields;
  /** Written as it is; several pieces are written one after the other. Must not change before the request ends. */
  readonly body?: Buffer | readonly Buffer[];
  readonly remark?: string;
}

/** How the header of a frame is written. (Java: `SerializeType`.) */
export const SerializeType = { JSON: 0, ROCKETMQ: 1 } as const;
export type SerializeType = (typeof SerializeType)[keyof typeof SerializeType];

/** Bits of `flag`. (Java: `RemotingCommand.RPC_TYPE`, `RPC_ONEWAY`.) */
export const CommandFlag = { RESPONSE: 1, ONE_WAY: 2 } as const;

/** A decoded frame: a request of the server, or an answer. */
export interface RemotingCommand {
  readonly code: number;
  /** Correlates a request and its answer within one connection. */
  readonly opaque: number;
  readonly flag: number;
  /** Version of the peer, as an ordinal of Java's `MQVersion.Version`. */
  readonly version: number;
  readonly remark: string | undefined;
  readonly fields: Readonly<Record<string, string>>;
  /** Empty when there is none. A view into what was received. */
  readonly body: Buffer;
  /** How the header was written; an answer is written the same way. */
  readonly serializeType: SerializeType;
}

/** Everything in a header besides what is in the prefix and the body. */
export type CommandHeader = Omit<RemotingCommand, 'body' | 'serializeType'>;

/** An answer to a request of the server. */
export interface RemotingResponse {
  readonly code: number;
  readonly remark?: string;
  readonly fields?: HeaderFields;
  readonly body?: Buffer;
}

export function isResponse(command: Pick<RemotingCommand, 'flag'>): boolean {
  return (command.flag & CommandFlag.RESPONSE) !== 0;
}

export function isOneWay(command: Pick<RemotingCommand, 'flag'>): boolean {
  return (command.flag & CommandFlag.ONE_WAY) !== 0;
}
