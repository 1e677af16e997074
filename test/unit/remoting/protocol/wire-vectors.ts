import { readFileSync } from 'node:fs';

import { maxJsonHeaderBytes, writeJsonHeader } from '../../../../lib/client/remoting/protocol/json-header.js';
import type { HeaderFields } from '../../../../lib/client/remoting/protocol/remoting-command.js';

/** What the Java classes made: test/interop/vectors/WireVectors.java wrote it. */
export interface WireVectors {
  readonly frames: readonly {
    readonly name: string;
    readonly serializeType: 0 | 1;
    readonly code: number;
    readonly opaque: number;
    readonly flag: number;
    readonly version: number;
    readonly remark: string | null;
    readonly fields: Readonly<Record<string, string>>;
    readonly body: string;
    readonly frame: string;
  }[];
  readonly messages: readonly MessageVector[];
  readonly properties: readonly {
    readonly text: string;
    readonly encoded?: Readonly<Record<string, string>>;
    readonly decoded: Readonly<Record<string, string>>;
  }[];
  readonly batches: readonly {
    readonly messages: readonly {
      readonly flag: number;
      readonly body: string;
      readonly properties: string;
    }[];
    readonly bytes: string;
  }[];
  readonly offsetMessageIds: readonly {
    readonly host: string;
    readonly address: string;
    readonly commitLogOffset: number;
    readonly id: string;
  }[];
  readonly uniqueKeys: readonly {
    readonly id: string;
    readonly ip: string;
    readonly pid: number;
    readonly madeAt: number;
  }[];
  readonly hashCodes: Readonly<Record<string, number>>;
  readonly subscriptions: readonly {
    readonly type: 'TAG' | 'SQL92';
    readonly expression: string;
    readonly data: {
      readonly tagsSet: readonly string[];
      readonly codeSet: readonly number[];
      readonly subVersion: number;
      readonly subString: string;
      readonly topic: string;
    };
  }[];
  readonly heartbeat: Readonly<Record<string, unknown>>;
  readonly routes: readonly {
    readonly name: string;
    readonly bodies: Readonly<Record<string, string>>;
    readonly publish: readonly string[];
    readonly subscribe: readonly string[];
  }[];
  readonly clusterInfo: Readonly<Record<string, string>>;
  readonly queueMaps: readonly { readonly name: string; readonly bodies: Readonly<Record<string, string>> }[];
}

export interface MessageVector {
  readonly bytes: string;
  readonly topic: string;
  readonly queueId: number;
  readonly flag: number;
  readonly queueOffset: number;
  readonly commitLogOffset: number;
  readonly storedSysFlag: number;
  readonly bornTimestamp: number;
  readonly bornHost: string;
  readonly storeTimestamp: number;
  readonly storeHost: string;
  readonly reconsumeTimes: number;
  readonly preparedTransactionOffset: number;
  readonly body: string;
  readonly bodyCrc: number;
  readonly properties: Readonly<Record<string, string>> | null;
  readonly storeSize: number;
  readonly offsetMessageId: string;
}

export const vectors = JSON.parse(
  readFileSync(new URL('../../../vectors/wire.json', import.meta.url), 'utf8'),
) as WireVectors;

/** `hex:port` of a vector for our `host:port`. */
export function hostHex(address: string, parseHost: (host: string) => Buffer | undefined): string {
  const colon = address.lastIndexOf(':');
  return `${parseHost(address.slice(0, colon))?.toString('hex')}:${address.slice(colon + 1)}`;
}

/** The bytes of a header in JSON, written into exactly the room that is announced for it. */
export function jsonHeader(
  code: number,
  opaque: number,
  flag: number,
  remark?: string,
  fields?: HeaderFields,
): Buffer {
  const bytes = Buffer.alloc(maxJsonHeaderBytes(remark, fields));
  return bytes.subarray(0, writeJsonHeader(bytes, 0, code, opaque, flag, remark, fields));
}
