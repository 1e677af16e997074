import type { ReceivedMessage } from '../../../message/message.js';
import { decompress } from './compression.js';
import { decodeProperties } from './message-properties.js';
import { MessageSysFlag } from './message-sys-flag.js';
import { toReceivedMessage } from './received-message.js';
import type { RemotingCommand } from './remoting-command.js';

/**
 * A reply as a broker pushes it: what a stored message has, in the header. It has no place in a queue yet.
 * (Java: `ReplyMessageRequestHeader`.)
 *
 * @throws RocketMQError when its body cannot be decompressed
 */
export function decodeReply({ fields, body }: RemotingCommand, brokerName: string): ReceivedMessage {
  const sysFlag = numberOf(fields['sysFlag']);
  const compressed = (sysFlag & MessageSysFlag.COMPRESSED) !== 0;
  return toReceivedMessage(
    {
      topic: fields['topic'] ?? '',
      queueId: numberOf(fields['queueId']),
      flag: numberOf(fields['flag']),
      queueOffset: -1,
      commitLogOffset: -1,
      sysFlag,
      bornTimestamp: numberOf(fields['bornTimestamp']),
      bornHost: hostOf(fields['bornHost']),
      storeTimestamp: numberOf(fields['storeTimestamp']),
      storeHost: hostOf(fields['storeHost']),
      reconsumeTimes: 0,
      preparedTransactionOffset: 0,
      body: compressed ? decompress(body, sysFlag) : body,
      bodyCrc: 0,
      properties: decodeProperties(fields['properties'] ?? ''),
      storeSize: 0,
      offsetMessageId: '',
    },
    brokerName,
  );
}

function numberOf(text: string | undefined): number {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : 0;
}

/** Java writes `name/address:port`. */
function hostOf(text = ''): string {
  return text.slice(text.indexOf('/') + 1);
}
