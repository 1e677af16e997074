import { describe, expect, it } from 'vitest';

import { BrokerError } from '../../../../lib/client/broker-error.js';
import { RequestCode, requestCodeName } from '../../../../lib/client/remoting/protocol/request-code.js';
import { ResponseCode, responseCodeName } from '../../../../lib/client/remoting/protocol/response-code.js';
import { responseError } from '../../../../lib/client/remoting/protocol/response-error.js';

const ADDRESS = '10.0.0.1:10911';

describe('an answer that is an error', () => {
  it.each([
    [ResponseCode.SYSTEM_BUSY, 'BROKER_BUSY', true],
    [ResponseCode.FLOW_CONTROL, 'BROKER_BUSY', true],
    [ResponseCode.GO_AWAY, 'BROKER_REJECTED', true],
    [ResponseCode.SERVICE_NOT_AVAILABLE, 'BROKER_REJECTED', true],
    [ResponseCode.SYSTEM_ERROR, 'BROKER_REJECTED', true],
    [ResponseCode.NO_PERMISSION, 'UNAUTHORIZED', false],
    [ResponseCode.TOPIC_NOT_EXIST, 'TOPIC_NOT_FOUND', false],
    [ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, 'GROUP_NOT_FOUND', false],
    [ResponseCode.REQUEST_CODE_NOT_SUPPORTED, 'UNSUPPORTED', false],
    [ResponseCode.MESSAGE_ILLEGAL, 'BROKER_REJECTED', false],
    [4711, 'BROKER_REJECTED', false],
  ])('%s means %s, retryable: %s', (responseCode, code, retryable) => {
    const error = responseError('Sending', { code: responseCode, remark: undefined }, ADDRESS);
    expect(error).toBeInstanceOf(BrokerError);
    expect(error).toMatchObject({ code, retryable, responseCode, address: ADDRESS });
  });

  it('says what was asked, who answered what, and what to do', () => {
    const error = responseError(
      'Reading the route',
      { code: 17, remark: 'No topic route info\nSee the FAQ.' },
      ADDRESS,
    );
    expect(error.message).toBe(
      'Reading the route failed: 10.0.0.1:10911 answered TOPIC_NOT_EXIST (17): No topic route info See the FAQ. Create the topic, or correct its name.',
    );
  });
});

describe('codes', () => {
  it('have one name per number', () => {
    for (const codes of [RequestCode, ResponseCode]) {
      const numbers = Object.values(codes);
      expect(new Set(numbers).size).toBe(numbers.length);
    }
    expect(requestCodeName(310)).toBe('SEND_MESSAGE_V2');
    expect(requestCodeName(1)).toBe('request 1');
    expect(responseCodeName(0)).toBe('SUCCESS');
    expect(responseCodeName(-5)).toBe('code -5');
  });
});
