/**
 * The version this client declares: `V5_5_0`, as an ordinal of Java's `MQVersion.Version`.
 *
 * What servers make of it: from 401 (`V4_9_4`) on, name servers answer in standard JSON (`ClientRequestProcessor`),
 * and signatures cover every field (`DefaultAuthenticationContextBuilder`). Above 475 (`V5_3_1`), a server that
 * shuts down answers GO_AWAY instead of dropping requests that it may or may not have looked at
 * (`NettyRemotingAbstract`); `RemotingChannels` turns that into a resend, so the newer behaviour is asked for.
 * Brokers of 4.9 take any number.
 */
export const CLIENT_VERSION = 513;

/** `LanguageCode.OTHER`. Names that an old server does not know make it drop the header. */
export const CLIENT_LANGUAGE = { name: 'OTHER', code: 7 } as const;
