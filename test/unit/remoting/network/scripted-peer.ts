import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

import { encodeBinaryHeader } from '../../../../lib/client/remoting/protocol/binary-header.js';
import { FRAME_PREFIX_BYTES, headerWord } from '../../../../lib/client/remoting/protocol/frame-header.js';
import {
  isOneWay,
  isResponse,
  SerializeType,
  type HeaderFields,
  type RemotingCommand,
} from '../../../../lib/client/remoting/protocol/remoting-command.js';
import { jsonHeader } from '../protocol/wire-vectors.js';
import { FrameReader } from '../../../../lib/client/remoting/network/frame-reader.js';

export interface FrameParts {
  readonly code: number;
  readonly opaque: number;
  readonly flag?: number;
  readonly remark?: string;
  readonly fields?: HeaderFields;
  readonly body?: Buffer;
  readonly serializeType?: SerializeType;
}

/** A frame as a server would write it. */
export function frame({
  code,
  opaque,
  flag = 0,
  remark,
  fields,
  body,
  serializeType = 0,
}: FrameParts): Buffer {
  const header =
    serializeType === SerializeType.JSON
      ? jsonHeader(code, opaque, flag, remark, fields)
      : encodeBinaryHeader(code, opaque, flag, remark, fields);
  const prefix = Buffer.alloc(FRAME_PREFIX_BYTES);
  prefix.writeInt32BE(4 + header.length + (body?.length ?? 0), 0);
  prefix.writeInt32BE(headerWord(serializeType, header.length), 4);
  return Buffer.concat([prefix, header, body ?? Buffer.alloc(0)]);
}

/** One connection of the peer. */
export interface PeerConnection {
  readonly socket: Socket;
  /** Sizes of what arrived, piece by piece. */
  readonly chunks: number[];
  answer(request: RemotingCommand, answer?: Partial<FrameParts>): void;
}

export type Script = (request: RemotingCommand, connection: PeerConnection) => void;

/** Answers SUCCESS and the body that came. */
export const echo: Script = (request, connection) => {
  if (!isOneWay(request)) connection.answer(request, { body: request.body });
};

/** A server on the loopback interface that does as it is told with every request. */
export class ScriptedPeer {
  readonly connections: PeerConnection[] = [];
  /** Requests that arrived, in order. */
  readonly requests: RemotingCommand[] = [];
  /** Answers to requests of the peer. */
  readonly answers: RemotingCommand[] = [];
  script: Script;
  #server: Server;
  #port = 0;

  private constructor(script: Script) {
    this.script = script;
    this.#server = this.#create();
  }

  static async start(script: Script = echo): Promise<ScriptedPeer> {
    const peer = new ScriptedPeer(script);
    await peer.listen();
    return peer;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Connections open at this moment. */
  get open(): readonly PeerConnection[] {
    return this.connections.filter(({ socket }) => !socket.destroyed);
  }

  async listen(): Promise<void> {
    if (!this.#server.listening) this.#server = this.#create();
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Refuses new connections and resets the present ones. */
  async stop(): Promise<void> {
    const server = this.#server;
    for (const { socket } of this.open) socket.resetAndDestroy();
    if (!server.listening) return;
    server.close();
    await once(server, 'close');
  }

  #create(): Server {
    return createServer((socket) => {
      const connection: PeerConnection = {
        socket,
        chunks: [],
        answer: ({ opaque, serializeType }, answer) =>
          socket.write(frame({ code: 0, opaque, flag: 1, serializeType, ...answer })),
      };
      this.connections.push(connection);
      const reader = new FrameReader((command) => {
        if (isResponse(command)) {
          this.answers.push(command);
        } else {
          this.requests.push(command);
          this.script(command, connection);
        }
      });
      socket.on('data', (chunk) => {
        connection.chunks.push(chunk.length);
        reader.push(chunk);
      });
      socket.on('error', () => socket.destroy());
    });
  }
}
