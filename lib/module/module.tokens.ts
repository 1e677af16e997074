/** The {@link Clock} of everything in the module; tests provide their own. */
export const CLOCK = Symbol('nestjs-rocketmq:clock');
/** Where engines and background work say what they have to say; Nest's Logger. */
export const CLIENT_LOG = Symbol('nestjs-rocketmq:client-log');
/** Makes the client of a connection. */
export const CLIENT_FACTORY = Symbol('nestjs-rocketmq:client-factory');
