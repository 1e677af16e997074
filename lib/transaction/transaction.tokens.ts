/** Transactional messages of the default connection: a `Transactions`. */
export const TRANSACTIONS = Symbol('nestjs-rocketmq:transactions');

/** Metadata of a method that answers checks: the name of its checker. */
export const TRANSACTION_CHECKER_METADATA = 'nestjs-rocketmq:transaction-checker';
