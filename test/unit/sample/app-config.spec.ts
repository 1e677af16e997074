import { describe, expect, it } from 'vitest';
import { AppConfig } from '../../../sample-app/src/config/app-config.js';

const complete = { DATABASE_URL: 'postgres://localhost/shop', ROCKETMQ_NAME_SERVER: '127.0.0.1:9876' };

describe('configuration of the sample application', () => {
  it('needs a database and a name server; the rest has defaults', () => {
    expect(new AppConfig(complete)).toMatchObject({
      port: 3000,
      databaseUrl: complete.DATABASE_URL,
      nameServer: complete.ROCKETMQ_NAME_SERVER,
      namespace: undefined,
      paymentWindow: 900_000,
      operatorKey: undefined,
    });
  });

  it('takes what is given', () => {
    const env = {
      ...complete,
      PORT: '0',
      ROCKETMQ_NAMESPACE: 'blue',
      PAYMENT_WINDOW_MS: '50',
      OPERATOR_KEY: 'k',
    };
    expect(new AppConfig(env)).toMatchObject({
      port: 0,
      namespace: 'blue',
      paymentWindow: 50,
      operatorKey: 'k',
    });
  });

  it('waits for payments by delay level, for brokers that know nothing else', () => {
    const env = { ...complete, PAYMENT_WINDOW_LEVEL: '14', PAYMENT_WINDOW_MS: '50' };
    expect(new AppConfig(env).paymentWindow).toEqual({ level: 14 });
  });

  it('lists everything that is wrong at once', () => {
    const build = (): AppConfig => new AppConfig({ PORT: 'http', PAYMENT_WINDOW_MS: '0' });
    for (const name of ['PORT', 'DATABASE_URL', 'ROCKETMQ_NAME_SERVER', 'PAYMENT_WINDOW_MS']) {
      expect(build).toThrow(name);
    }
  });
});
